#include "runtime/stub_main.hpp"

#include <malloc.h>
#include <pybind11/pybind11.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>

#include "runtime/backend_utils.hpp"
#include "runtime/command_loop.hpp"
#include "runtime/python_error.hpp"

namespace wb {

namespace {

void Ignore(int) {}

// The parent asks a stub to finish, or kills it. Ctrl-C in a terminal reaches the whole group of processes
// and must not end a model that still serves.
void IgnoreInterrupts() {
  struct sigaction action{};
  action.sa_handler = &Ignore;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// With an execution environment the parent put the environment's libraries first, for this program's loader
// only: the model and its children are to see the original value.
void StripLibraryPath() {
  const char* path = std::getenv("LD_LIBRARY_PATH");
  const std::string text = path ? path : "";
  const auto colon = text.find(':');
  if (colon == std::string::npos) {
    throw Error("LD_LIBRARY_PATH must hold the execution environment's libraries first, found '" + text +
                "'");
  }
  setenv("LD_LIBRARY_PATH", text.substr(colon + 1).c_str(), 1);
}

void Say(const std::string& message) {
  std::fprintf(stderr, "triton_python_backend_stub: %s\n", message.c_str());
}

// Models make and drop arrays of the same sizes request after request. Kept by the process, their memory is
// not mapped and zeroed by the kernel again each time, which costs more than copying the data.
void KeepArrayMemory() {
  constexpr int kLargestKept = 32 << 20;  // the most glibc allows
  constexpr int kKeptInAll = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargestKept);
  mallopt(M_TRIM_THRESHOLD, kKeptInAll);
}

// What the interpreter copied from the environment at its start, and how it writes to a pipe.
void SettleInterpreter(bool library_path_changed) {
  const auto sys = py::module_::import("sys");
  py::list argv;
  argv.append("");
  sys.attr("argv") = argv;
  if (library_path_changed) {
    py::module_::import("os").attr("environ")["LD_LIBRARY_PATH"] = std::getenv("LD_LIBRARY_PATH");
  }
  // For the interpreter too: asyncio.run replaces a SIGINT handler that is the interpreter's own. Then ours
  // again, since an ignored signal, unlike a handled one, stays ignored in the programs a model starts.
  const auto signals = py::module_::import("signal");
  signals.attr("signal")(signals.attr("SIGINT"), signals.attr("SIG_IGN"));
  IgnoreInterrupts();
  // Prints of a model appear when they are made, not when the process ends.
  for (const char* stream : {"stdout", "stderr"}) {
    const py::object object = sys.attr(stream);
    if (py::hasattr(object, "reconfigure")) object.attr("reconfigure")(py::arg("line_buffering") = true);
  }
}

}  // namespace

std::unique_ptr<Stub> PrepareStub(const std::vector<std::string>& arguments,
                                  const std::string& stub_directory) {
  try {
    if (arguments.empty()) {
      // Upstream's parent starts a stub once without arguments, to see whether it can be executed.
      Say("started without arguments; a Triton server starts this program");
      return nullptr;
    }
    Options options = ParseOptions(arguments);
    struct stat info{};
    if (!options.is_python_based() && stat(options.model_file.c_str(), &info) != 0) {
      throw Error("Failed to preinitialize Python stub: Python model file not found in '" +
                  options.model_file + "'");
    }
    const DetectedRelease detected = DetectRelease(stub_directory, options.parent_pid);
    const Release& release = *detected.release;
    if (detected.newer) {
      Say("warning: Triton release " + detected.text + " (from " + detected.source +
          ") is newer than this stub knows; it speaks " + std::string(release.name));
    }
    IgnoreInterrupts();
    KeepArrayMemory();
    return std::make_unique<Stub>(std::move(options), release);
  } catch (const std::exception& error) {
    Say(error.what());
    return nullptr;
  }
}

int RunStub(Stub* stub) {
  try {
    const bool uses_env = stub->link().control()->uses_env;
    if (uses_env) StripLibraryPath();
    RememberOutermostFrame();
    SettleInterpreter(uses_env);
    CreateBackendUtils(stub);
    (new CommandLoop(stub))->Run();  // never destroyed
    stub->pool()->Unlink();
    return kExitOk;
  } catch (const py::error_already_set& error) {
    Say("cannot go on: " + TracebackText(ExceptionOf(error)));
  } catch (const std::exception& error) {
    Say(std::string("cannot go on: ") + error.what());
  }
  if (stub->link().parent_gone()) stub->pool()->Unlink();  // nobody else will
  return kExitError;
}

}  // namespace wb
