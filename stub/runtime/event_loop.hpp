// The private asyncio loop on which coroutines of a model run (pb_utils.md §1.5, §5.5). All calls need the
// GIL.
#pragma once

#include <pybind11/pybind11.h>

namespace wb {

namespace py = pybind11;

class EventLoop {
 public:
  static bool IsCoroutine(const py::object& object);
  // Schedules it on the loop, which is started at the first call; gives a concurrent future.
  py::object Submit(const py::object& coroutine);
  // Waits; gives the result or raises the coroutine's own exception, with the coroutine's frames only.
  py::object Run(const py::object& coroutine);
  // Stops the loop and joins its thread.
  void Stop();

 private:
  py::object loop_;
  py::object thread_;
};

}  // namespace wb
