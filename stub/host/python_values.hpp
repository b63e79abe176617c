// Tensors, requests and responses as Python sees them.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "host/pending.hpp"

namespace wb {

// A Python object's memory, held open for reading. Made and destroyed with the GIL.
class BufferView {
 public:
  explicit BufferView(pybind11::handle object);
  ~BufferView();
  BufferView(BufferView&& other) noexcept;
  BufferView& operator=(BufferView&& other) = delete;
  const char* data() const { return static_cast<const char*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

// Tuples (name, datatype number, shape, data) → values that point into `buffers`. Throws ValueError,
// TypeError.
std::vector<TensorValue> ParseTensors(const pybind11::iterable& tuples, std::vector<BufferView>* buffers);

CorrelationId ParseCorrelationId(const pybind11::object& id);
pybind11::object ToPython(const CorrelationId& id);
// None, or (code, text).
std::optional<ErrorValue> ParseError(const pybind11::object& error);

struct OutputTensor {
  TensorValue value;
  pybind11::array Numpy(const pybind11::object& self) const;
};
using OutputTensors = std::vector<std::shared_ptr<OutputTensor>>;
OutputTensors ToOutputs(std::vector<TensorValue> values);

struct Response {
  explicit Response(ResponseValue value);
  // As a value again, the tensors shared.
  ResponseValue Copy() const;

  OutputTensors outputs;
  std::optional<ErrorValue> error;
  std::string parameters;
  bool is_last;
};

struct Request {
  std::vector<BufferView> inputs;
  std::shared_ptr<Pending> pending;
};

// With the GIL, which is released while waiting. Nothing: there are no more. Raises TimeoutError, and what
// the request failed with.
std::optional<ResponseValue> NextValue(const Request& request, std::optional<double> timeout);

void BindValues(pybind11::module_& module);

// Waits call this now and then: Ctrl-C has to end them.
const Interrupt& CheckSignals();

// Has waits call a Python function besides, in the thread that waits; what it raises ends the wait.
void SetOnWait(pybind11::object hook);

}  // namespace wb
