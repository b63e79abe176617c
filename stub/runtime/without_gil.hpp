// The GIL given up for a while.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

namespace wb {

// As py::gil_scoped_release, for threads that may outlive the interpreter: daemon threads of a model, and
// what runs on its event loop. CPython before 3.14 ends a thread that asks for the GIL too late by unwinding
// its stack; pybind11's guard asks in a destructor that lets nothing through, so the whole process would be
// aborted.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() noexcept(false) {
    // Where an exception is under way not even this destructor may be unwound: then the thread rests until
    // the process has ended, as CPython 3.14 has it.
    if (!Py_IsInitialized() && gettid() != getpid()) {
      for (;;) pause();
    }
    PyEval_RestoreThread(state_);
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace wb
