#include "runtime/model_line.hpp"

#include <Python.h>
#include <frameobject.h>  // before Python 3.11 no part of Python.h

namespace wb {

namespace {

PyObject* model_file = nullptr;

bool IsModel(PyFrameObject* frame) {
  PyCodeObject* code = PyFrame_GetCode(frame);
  const bool same = code->co_filename == model_file || PyUnicode_Compare(code->co_filename, model_file) == 0;
  Py_DECREF(code);
  return same;
}

}  // namespace

void SetModelFile(const std::string& path) { model_file = PyUnicode_FromString(path.c_str()); }

std::uint32_t ModelLine() {
  constexpr int kDeepest = 50;
  if (!model_file) return 0;
  PyFrameObject* frame = PyThreadState_GetFrame(PyThreadState_Get());
  for (int depth = 0; frame && depth < kDeepest; ++depth) {
    if (IsModel(frame)) {
      const int line = PyFrame_GetLineNumber(frame);
      Py_DECREF(frame);
      return line > 0 ? static_cast<std::uint32_t>(line) : 0;
    }
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = back;
  }
  Py_XDECREF(frame);
  return 0;
}

}  // namespace wb
