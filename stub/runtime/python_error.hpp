// Python exceptions as text: the form that crosses to a server, and the one for people.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace wb {

namespace py = pybind11;

// The calling Python frame, if any, is the launcher's: texts end below it.
void RememberOutermostFrame();
// "<Type>: <message>\n\nAt:\n  <file>(<line>): <function>\n…", innermost frame first (pb_utils.md §6.2).
std::string WireText(const py::handle& exception);
// The same, of an exception that leaves the model for good: the hook is told of it first.
std::string FailureText(const py::handle& exception);
// Called with the exception and its wire text, in the thread it happened in. None: nobody wants to know.
void SetFailureHook(const py::object& hook);
// The standard traceback, with causes.
std::string TracebackText(const py::handle& exception);
// The exception of a caught error, normalised, as an object.
py::object ExceptionOf(const py::error_already_set& error);

}  // namespace wb
