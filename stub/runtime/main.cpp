// The stub as one executable with CPython inside: for a server that is to find it in a model's folder.
#include <pybind11/embed.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/stub_main.hpp"

namespace {

std::string OwnDirectory() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  if (length <= 0) return {};
  const std::string file(path, static_cast<std::size_t>(length));
  return file.substr(0, file.rfind('/'));
}

// Like an interpreter started by hand: environment variables count, no arguments, and the prefix is that of
// the first `python3` on PATH, so that an activated environment is found.
bool StartInterpreter() {
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.parse_argv = 0;
  config.install_signal_handlers = 0;
  const char* python = std::getenv("TRITON_WORKBENCH_PYTHON");
  PyStatus status =
      PyConfig_SetBytesString(&config, &config.program_name, python && *python ? python : "python3");
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (!PyStatus_Exception(status)) return true;
  std::fprintf(stderr, "triton_python_backend_stub: Python does not start: %s\n",
               status.err_msg ? status.err_msg : "unknown reason");
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto stub = wb::PrepareStub(arguments, OwnDirectory());
  if (!stub) return wb::kExitError;
  if (!StartInterpreter()) return wb::kExitError;
  pybind11::module_::import("sys").attr("path").attr("insert")(0, "");
  const int code = wb::RunStub(stub.release());
  return Py_FinalizeEx() < 0 ? wb::kExitError : code;
}
