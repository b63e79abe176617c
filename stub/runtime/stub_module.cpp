// Extension module `_stub`: the stub for an interpreter that already runs (the launcher script's form).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "runtime/own_pages.hpp"
#include "runtime/python_error.hpp"
#include "runtime/stub_main.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_stub, module) {
  module.doc() = "Stub side of the Triton Python backend's shared-memory protocol.";
  module.def(
      "main",
      [](const std::vector<std::string>& arguments, const std::string& stub_directory,
         const py::object& on_failure) {
        wb::SetFailureHook(on_failure);
        auto stub = wb::PrepareStub(arguments, stub_directory);
        if (!stub) return wb::kExitError;
        // Never destroyed: objects of the model may refer to it until the interpreter has ended.
        return wb::RunStub(stub.release());
      },
      py::arg("arguments"), py::arg("stub_directory") = "", py::arg("on_failure") = py::none(),
      "Serve one model until the parent ends it; gives the process's exit code.\n\n"
      "arguments: the nine of the protocol, without the program's name. stub_directory: where a marker file\n"
      "'triton_release' may name the release to speak. on_failure: called with each exception that leaves "
      "the\n"
      "model, and the text that crosses in its place.");
  module.def("take_own_pages", &wb::TakeOwnPages, py::arg("most"),
             "In a forked process: copy the memory it still shares ahead of time, at most this many bytes. "
             "Gives how\nmany; 0 where the kernel cannot.");
  module.def(
      "detect_release",
      [](const std::string& stub_directory, int parent_pid) {
        try {
          const wb::DetectedRelease detected = wb::DetectRelease(stub_directory, parent_pid);
          return py::make_tuple(std::string(detected.release->name), detected.source);
        } catch (const wb::Error& error) {
          throw py::value_error(error.what());
        }
      },
      py::arg("stub_directory"), py::arg("parent_pid"),
      "Release that a stub in this folder, started by this process, would speak, and where that was read.\n\n"
      "Raises ValueError if there is no source, or it names a release that is not supported.");
}
