#include "runtime/python_error.hpp"

namespace wb {

namespace {

// The script that runs this module, where there is one. Compared only, never used: it outlives the stub's
// loop.
const PyFrameObject* outermost_frame = nullptr;

// Never destroyed: models may fail while the interpreter ends.
py::object* failure_hook = nullptr;

std::string Text(const py::handle& object) {
  try {
    // Lone surrogates (a file name that is no UTF-8, say) have no UTF-8 form: their escapes do.
    return py::str(object).attr("encode")("utf-8", "backslashreplace").cast<std::string>();
  } catch (const py::error_already_set&) {
    return "<unprintable " + py::type::of(object).attr("__name__").cast<std::string>() + " object>";
  }
}

}  // namespace

void RememberOutermostFrame() { outermost_frame = PyEval_GetFrame(); }

std::string WireText(const py::handle& exception) {
  std::string text = py::type::of(exception).attr("__name__").cast<std::string>() + ": " + Text(exception);
  py::object traceback = py::getattr(exception, "__traceback__", py::none());
  if (traceback.is_none()) return text;
  while (!traceback.attr("tb_next").is_none()) traceback = traceback.attr("tb_next");
  // Not the traceback's own entries: upstream follows the callers of the innermost frame, which shows the
  // import machinery and leaves out whoever awaited a coroutine.
  text += "\n\nAt:\n";
  py::object frame = traceback.attr("tb_frame");
  while (!frame.is_none() && reinterpret_cast<PyFrameObject*>(frame.ptr()) != outermost_frame) {
    const py::object code = frame.attr("f_code");
    text += "  " + Text(code.attr("co_filename")) + "(" + Text(frame.attr("f_lineno")) +
            "): " + Text(code.attr("co_name")) + "\n";
    frame = frame.attr("f_back");
  }
  return text;
}

void SetFailureHook(const py::object& hook) {
  delete failure_hook;
  failure_hook = hook.is_none() ? nullptr : new py::object(hook);
}

std::string FailureText(const py::handle& exception) {
  const std::string text = WireText(exception);
  if (failure_hook != nullptr) {
    try {
      (*failure_hook)(exception, text);
    } catch (py::error_already_set& error) {
      error.discard_as_unraisable("the hook for a model's failures");
    }
  }
  return text;
}

std::string TracebackText(const py::handle& exception) {
  try {
    const py::object lines = py::module_::import("traceback").attr("format_exception")(exception);
    return Text(py::str("").attr("join")(lines));
  } catch (const py::error_already_set&) {
    return WireText(exception);
  }
}

py::object ExceptionOf(const py::error_already_set& error) {
  py::object exception = error.value();
  // None too: what is left of an import's own frames belongs to nobody then.
  exception.attr("__traceback__") = error.trace() ? error.trace() : py::none();
  return exception;
}

}  // namespace wb
