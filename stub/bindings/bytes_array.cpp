#include "bindings/bytes_array.hpp"

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "protocol/error.hpp"

namespace py = pybind11;

namespace wb {

namespace {

using Length = std::uint32_t;

constexpr int kObjectTypeNumber = 17;  // NPY_OBJECT, part of NumPy's ABI

struct Piece {
  const char* data;
  std::size_t size;
};

void CheckLength(std::size_t size) {
  if (size > std::numeric_limits<Length>::max()) {
    throw py::value_error("an element of a BYTES tensor has " + std::to_string(size) +
                          " bytes; its length has to fit in 32 bits");
  }
}

std::string Join(const std::vector<Piece>& pieces) {
  std::size_t total = pieces.size() * sizeof(Length);
  for (const Piece& piece : pieces) {
    CheckLength(piece.size);
    total += piece.size;
  }
  std::string wire(total, '\0');
  char* at = wire.data();
  for (const Piece& piece : pieces) {
    const auto length = static_cast<Length>(piece.size);
    std::memcpy(at, &length, sizeof(length));
    at += sizeof(length);
    if (piece.size > 0) std::memcpy(at, piece.data, piece.size);
    at += piece.size;
  }
  return wire;
}

// The bytes of a str; they belong to the str.
Piece Utf8(PyObject* text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (!data) throw py::error_already_set();  // UnicodeEncodeError, a ValueError
  return {data, static_cast<std::size_t>(size)};
}

std::string EncodeObjects(const py::array& array) {
  const auto count = static_cast<std::size_t>(array.size());
  auto* const* items = static_cast<PyObject* const*>(array.data());
  std::vector<Piece> pieces(count);
  std::vector<py::object> owned;  // an element's __str__ is free to change the array we are reading
  owned.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const py::handle item(items[i] ? items[i] : Py_None);  // NumPy reads an empty slot as None
    if (PyBytes_Check(item.ptr())) {
      owned.push_back(py::reinterpret_borrow<py::object>(item));
      pieces[i] = {PyBytes_AS_STRING(item.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(item.ptr()))};
    } else {
      owned.push_back(PyUnicode_CheckExact(item.ptr()) ? py::reinterpret_borrow<py::object>(item)
                                                       : py::str(item));
      pieces[i] = Utf8(owned.back().ptr());
    }
  }
  return Join(pieces);
}

std::string EncodeFixed(const py::array& array) {
  const auto count = static_cast<std::size_t>(array.size());
  const auto width = static_cast<std::size_t>(array.itemsize());
  const auto* at = static_cast<const char*>(array.data());
  std::vector<Piece> pieces(count);
  for (Piece& piece : pieces) {
    std::size_t size = width;
    while (size > 0 && at[size - 1] == '\0') --size;
    piece = {at, size};
    at += width;
  }
  return Join(pieces);
}

// Before anything is allocated: a corrupt shape must not ask for more than the data can hold.
void CheckCount(std::size_t size, std::size_t count) {
  if (count <= size / sizeof(Length)) return;
  throw Error("malformed BYTES tensor: " + std::to_string(size) + " bytes cannot hold " +
              std::to_string(count) + " elements");
}

template <typename Visit>
void Walk(const char* data, std::size_t size, std::size_t count, Visit visit) {
  CheckCount(size, count);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (size - offset < sizeof(Length)) {
      throw Error("malformed BYTES tensor: the length of element " + std::to_string(i) + " is cut off");
    }
    Length length = 0;
    std::memcpy(&length, data + offset, sizeof(length));
    offset += sizeof(length);
    if (length > size - offset) {
      throw Error("malformed BYTES tensor: element " + std::to_string(i) + " claims " +
                  std::to_string(length) + " bytes where " + std::to_string(size - offset) + " are left");
    }
    visit(i, Piece{data + offset, length});
    offset += length;
  }
  if (offset != size) {
    throw Error("malformed BYTES tensor: " + std::to_string(size - offset) + " bytes are left after " +
                std::to_string(count) + " elements");
  }
}

}  // namespace

std::string EncodeBytes(const py::array& array) {
  const char kind = array.dtype().kind();
  if (kind != 'O' && kind != 'S') {
    throw py::value_error("a BYTES tensor is made from an object or bytes ('S') array, not from dtype " +
                          std::string(py::str(array.dtype())));
  }
  const py::array contiguous = py::array::ensure(array, py::array::c_style);
  if (!contiguous) throw py::error_already_set();
  return kind == 'O' ? EncodeObjects(contiguous) : EncodeFixed(contiguous);
}

void CheckBytes(const char* data, std::size_t size, std::size_t count) {
  Walk(data, size, count, [](std::size_t, Piece) {});
}

py::array DecodeBytes(const char* data, std::size_t size, std::size_t count) {
  CheckCount(size, count);
  py::array array(py::dtype(kObjectTypeNumber), std::vector<py::ssize_t>{static_cast<py::ssize_t>(count)});
  auto** items = static_cast<PyObject**>(array.mutable_data());
  Walk(data, size, count, [items](std::size_t i, Piece piece) {
    PyObject* item = PyBytes_FromStringAndSize(piece.data, static_cast<Py_ssize_t>(piece.size));
    if (!item) throw py::error_already_set();
    PyObject* previous = std::exchange(items[i], item);
    Py_XDECREF(previous);
  });
  return array;
}

}  // namespace wb
