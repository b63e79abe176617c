// The compiled half of pb_utils: module c_python_backend_utils, made for one stub (its release decides which
// members exist) and grafted on triton_python_backend_utils.
#pragma once

#include <pybind11/pybind11.h>

#include "runtime/stub.hpp"

namespace wb {

// Makes the module and puts it into sys.modules. Once per process.
void CreateBackendUtils(Stub* stub);

// Assigns the classes, functions and constants to `utils`, as models expect them (pb_utils.md §2.0).
void GraftBackendUtils(pybind11::module_ utils, Stub* stub);

// Parts of the module, one file each.
void BindTensor(pybind11::module_& module);
void BindInference(pybind11::module_& module, Stub* stub);
void BindServices(pybind11::module_& module, Stub* stub);

}  // namespace wb
