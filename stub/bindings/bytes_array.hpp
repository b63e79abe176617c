// BYTES tensors between NumPy and the wire: per element a 4-byte little-endian length and the bytes, in C
// order (protocol.md §5.3). Shared by both extension modules, so that a string means the same on both sides.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>

namespace wb {

// Wire form of an object array (bytes as they are, str as UTF-8, anything else as the UTF-8 of str(x)) or of
// an `S` array (trailing NULs stripped, as NumPy does). Needs the GIL. Raises ValueError for another dtype or
// an element longer than the length field can say, and whatever an element's own __str__ raises.
std::string EncodeBytes(const pybind11::array& array);

// 1-D object array of `bytes`. Needs the GIL. Throws Error if the data are malformed or are not exactly
// `count` elements.
pybind11::array DecodeBytes(const char* data, std::size_t size, std::size_t count);

// Only looks whether the data are `count` well-formed elements. Throws Error as DecodeBytes does.
void CheckBytes(const char* data, std::size_t size, std::size_t count);

}  // namespace wb
