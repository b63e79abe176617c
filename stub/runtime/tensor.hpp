// What a model knows as pb_utils.Tensor: a name, a shape, and bytes that lie in an array, in a region, or
// behind DLPack.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "codec/values.hpp"

namespace wb {

namespace py = pybind11;

// Raised into Python as TritonModelException.
class ModelException : public Error {
 public:
  using Error::Error;
};

class PyTensor : public std::enable_shared_from_this<PyTensor> {
 public:
  // From a model: C-contiguous arrays are used as they are, others copied. Throws ModelException.
  static std::shared_ptr<PyTensor> FromNumpy(const std::string& name, const py::array& array);
  // From a DLPack capsule or an object with __dlpack__ and __dlpack_device__. Throws ModelException.
  static std::shared_ptr<PyTensor> FromDlpack(const std::string& name, const py::object& object);
  // From the other side.
  static std::shared_ptr<PyTensor> FromValue(TensorValue value);

  ~PyTensor();

  const std::string& name() const { return value_.name; }
  const std::vector<std::int64_t>& dims() const { return value_.dims; }
  DataType dtype() const { return value_.dtype; }
  bool is_cpu() const { return value_.memory_type != MemoryType::kGpu; }

  // The array passed in, or a private copy of the received bytes, made at the first call. Throws
  // ModelException.
  py::array AsNumpy();
  py::capsule ToDlpack();
  py::tuple DlpackDevice() const;

  // Puts the bytes into the pool, once: later calls name the same object. GIL not needed.
  Handle Save(Pool* pool, Refs* keep);
  // For a message that goes out: the value with its block, once saved.
  const TensorValue& value() const { return value_; }

 private:
  PyTensor() = default;

  TensorValue value_;
  std::mutex saving_;       // one request may be sent by several threads at a time
  std::uint32_t line_ = 0;  // of model.py, where the model made it
  std::string encoded_;     // wire form of BYTES given by a model
  py::object array_;
};

// Same number that Triton uses; kInvalid if there is none.
DataType DataTypeOf(const py::dtype& dtype);
// Throws ModelException for what NumPy cannot hold, BF16, and for BYTES, whose elements are of any length.
py::dtype NumpyTypeOf(DataType type);

}  // namespace wb
