// DLPack both ways, on the host (DLPack ABI version 0, the form every library still reads and writes).
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "codec/values.hpp"

namespace wb {

class PyTensor;
namespace py = pybind11;

// Device numbers of the DLPack standard.
inline constexpr int kDlCpu = 1;
inline constexpr int kDlCuda = 2;
inline constexpr int kDlCudaHost = 3;

// A capsule named "dltensor" that shares the tensor's bytes and keeps the tensor alive.
py::capsule ExportDlpack(std::shared_ptr<PyTensor> tensor);

// Takes a capsule, or an object with __dlpack__ and __dlpack_device__; the value owns the producer's memory.
// The capsule is renamed "used_dltensor", as the standard wants. Throws ModelException.
TensorValue ImportDlpack(const py::object& object);

}  // namespace wb
