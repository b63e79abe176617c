// Text that a model, or another process, has made.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace wb {

// What they say may be no UTF-8; it must not be lost for that.
inline pybind11::object LenientText(const std::string& bytes) {
  return pybind11::reinterpret_steal<pybind11::object>(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<pybind11::ssize_t>(bytes.size()), "backslashreplace"));
}

}  // namespace wb
