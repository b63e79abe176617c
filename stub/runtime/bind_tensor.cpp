// Bindings of Tensor.
#include <pybind11/stl.h>

#include "runtime/backend_utils.hpp"
#include "runtime/tensor.hpp"

namespace wb {

void BindTensor(py::module_& module) {
  py::class_<PyTensor, std::shared_ptr<PyTensor>>(module, "Tensor")
      .def(py::init(&PyTensor::FromNumpy))
      .def("name", &PyTensor::name)
      .def("as_numpy", &PyTensor::AsNumpy)
      .def("shape", &PyTensor::dims)
      .def("is_cpu", &PyTensor::is_cpu)
      .def("triton_dtype", [](const PyTensor& tensor) { return static_cast<int>(tensor.dtype()); })
      .def("to_dlpack", &PyTensor::ToDlpack)
      .def_static("from_dlpack", &PyTensor::FromDlpack)
      .def(
          "__dlpack__", [](PyTensor& tensor, const py::object&) { return tensor.ToDlpack(); },
          py::arg("stream") = py::none())
      .def("__dlpack_device__", &PyTensor::DlpackDevice);
}

}  // namespace wb
