#include "runtime/python_error.hpp"

#include <vector>

namespace wb {

namespace {

std::string Text(const py::handle& object) {
  try {
    return py::str(object).cast<std::string>();
  } catch (const py::error_already_set&) {
    return "<unprintable " + py::type::of(object).attr("__name__").cast<std::string>() + " object>";
  }
}

}  // namespace

std::string WireText(const py::handle& exception) {
  std::string text = py::type::of(exception).attr("__name__").cast<std::string>() + ": " + Text(exception);
  std::vector<std::string> frames;
  py::object traceback = py::getattr(exception, "__traceback__", py::none());
  while (!traceback.is_none()) {
    const py::object code = traceback.attr("tb_frame").attr("f_code");
    frames.push_back("  " + Text(code.attr("co_filename")) + "(" + Text(traceback.attr("tb_lineno")) +
                     "): " + Text(code.attr("co_name")) + "\n");
    traceback = traceback.attr("tb_next");
  }
  if (frames.empty()) return text;
  text += "\n\nAt:\n";
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) text += *frame;
  return text;
}

std::string TracebackText(const py::handle& exception) {
  try {
    const py::object lines = py::module_::import("traceback").attr("format_exception")(exception);
    return py::str("").attr("join")(lines).cast<std::string>();
  } catch (const py::error_already_set&) {
    return WireText(exception);
  }
}

py::object ExceptionOf(const py::error_already_set& error) {
  py::object exception = error.value();
  if (error.trace()) exception.attr("__traceback__") = error.trace();
  return exception;
}

}  // namespace wb
