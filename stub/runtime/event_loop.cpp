#include "runtime/event_loop.hpp"

namespace wb {

bool EventLoop::IsCoroutine(const py::object& object) {
  return py::module_::import("asyncio").attr("iscoroutine")(object).cast<bool>();
}

py::object EventLoop::Submit(const py::object& coroutine) {
  const py::module_ asyncio = py::module_::import("asyncio");
  if (!loop_) {
    loop_ = asyncio.attr("new_event_loop")();
    thread_ = py::module_::import("threading")
                  .attr("Thread")(py::arg("target") = loop_.attr("run_forever"), py::arg("daemon") = true,
                                  py::arg("name") = "triton-event-loop");
    thread_.attr("start")();
  }
  return asyncio.attr("run_coroutine_threadsafe")(coroutine, loop_);
}

py::object EventLoop::Run(const py::object& coroutine) {
  const py::object future = Submit(coroutine);
  const py::object exception = future.attr("exception")();  // waits without the GIL
  if (exception.is_none()) return future.attr("result")();
  // Raised as it is: result() would add the frames of the machinery that waited.
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

void EventLoop::Stop() {
  if (!loop_) return;
  loop_.attr("call_soon_threadsafe")(loop_.attr("stop"));
  thread_.attr("join")();
  loop_ = py::object();
  thread_ = py::object();
}

}  // namespace wb
