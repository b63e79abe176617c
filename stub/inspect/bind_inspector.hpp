// The inspector for Python; what it means is in workbench/_host.pyi.
#pragma once

#include <pybind11/pybind11.h>

namespace wb {

void BindInspector(pybind11::module_& module);

}  // namespace wb
