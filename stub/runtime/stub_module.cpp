// Extension module `_stub`: the stub for an interpreter that already runs (the launcher script's form).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "runtime/stub_main.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_stub, module) {
  module.doc() = "Stub side of the Triton Python backend's shared-memory protocol.";
  module.def(
      "main",
      [](const std::vector<std::string>& arguments, const std::string& stub_directory) {
        auto stub = wb::PrepareStub(arguments, stub_directory);
        if (!stub) return wb::kExitError;
        // Never destroyed: objects of the model may refer to it until the interpreter has ended.
        return wb::RunStub(stub.release());
      },
      py::arg("arguments"), py::arg("stub_directory") = "",
      "Serve one model until the parent ends it; gives the process's exit code.\n\n"
      "arguments: the nine of the protocol, without the program's name. stub_directory: where a marker file\n"
      "'triton_release' may name the release to speak.");
}
