// The tap as Python sees it.
#pragma once

#include <pybind11/pybind11.h>

namespace wb {

void BindTap(pybind11::module_& module);

}  // namespace wb
