#include "runtime/backend_utils.hpp"

#include <pybind11/stl.h>

#include "runtime/tensor.hpp"

namespace wb {

namespace {

constexpr const char* kModule = "c_python_backend_utils";

struct SharedMemory {
  Stub* stub;
};

}  // namespace

void CreateBackendUtils(Stub* stub) {
  // pybind11 keeps the definition for the life of the process.
  static PyModuleDef definition;
  auto module = py::module_::create_extension_module(
      kModule, "Classes of the Triton Python backend that need the server.", &definition);
  py::register_exception<ModelException>(module, "TritonModelException");
  // What the parent refuses and what the pool cannot hold reach the model as the same exception.
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const ModelException&) {
      throw;
    } catch (const Error& error) {
      const py::object type = py::module_::import(kModule).attr("TritonModelException");
      PyErr_SetString(type.ptr(), error.what());
    }
  });
  BindTensor(module);
  BindInference(module, stub);
  BindServices(module, stub);
  py::class_<SharedMemory>(module, "SharedMemory")
      .def(
          "free_memory", [](const SharedMemory& memory) { return memory.stub->pool()->FreeBytes(); },
          "Bytes free in this instance's region.");
  module.attr("shared_memory") = SharedMemory{stub};
  py::module_::import("sys").attr("modules")[kModule] = module;
}

void GraftBackendUtils(py::module_ utils, Stub* stub) {
  const auto compiled = py::module_::import(kModule);
  for (const char* name :
       {"TritonError", "TritonModelException", "Tensor", "InferenceRequest", "InferenceResponse", "Logger",
        "PreferredMemory", "TRITONSERVER_MEMORY_GPU", "TRITONSERVER_MEMORY_CPU", "MetricFamily", "load_model",
        "unload_model", "is_model_ready"}) {
    utils.attr(name) = compiled.attr(name);
  }
  utils.attr("get_model_dir") = py::cpp_function([stub] { return stub->options().version_dir; });
}

}  // namespace wb
