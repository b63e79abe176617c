#include "runtime/tensor.hpp"

#include <cstring>

#include "bindings/bytes_array.hpp"
#include "codec/tensor.hpp"
#include "runtime/dlpack.hpp"
#include "runtime/model_line.hpp"
#include "runtime/without_gil.hpp"
#include "shm/note.hpp"

namespace wb {

namespace {

// Copies above this size let other Python threads run meanwhile.
constexpr std::uint64_t kLargeCopy = 1 << 20;

void Copy(char* to, const char* from, std::uint64_t size) {
  if (size >= kLargeCopy) {
    const WithoutGil release;
    std::memcpy(to, from, size);
  } else if (size > 0) {
    std::memcpy(to, from, size);
  }
}

std::uint64_t ElementCount(const std::vector<std::int64_t>& dims) {
  std::uint64_t count = 1;
  for (const auto dim : dims) count *= static_cast<std::uint64_t>(dim);
  return count;
}

}  // namespace

DataType DataTypeOf(const py::dtype& dtype) {
  const char order = dtype.byteorder();
  if (order == '>') return DataType::kInvalid;
  const auto size = dtype.itemsize();
  switch (dtype.kind()) {
    case 'b':
      return DataType::kBool;
    case 'O':
    case 'S':
      return DataType::kBytes;
    case 'u':
      return size == 1   ? DataType::kUint8
             : size == 2 ? DataType::kUint16
             : size == 4 ? DataType::kUint32
                         : DataType::kUint64;
    case 'i':
      return size == 1   ? DataType::kInt8
             : size == 2 ? DataType::kInt16
             : size == 4 ? DataType::kInt32
                         : DataType::kInt64;
    case 'f':
      return size == 2   ? DataType::kFp16
             : size == 4 ? DataType::kFp32
             : size == 8 ? DataType::kFp64
                         : DataType::kInvalid;
    default:
      return DataType::kInvalid;
  }
}

py::dtype NumpyTypeOf(DataType type) {
  switch (type) {
    case DataType::kBool:
      return py::dtype::of<bool>();
    case DataType::kUint8:
      return py::dtype::of<std::uint8_t>();
    case DataType::kUint16:
      return py::dtype::of<std::uint16_t>();
    case DataType::kUint32:
      return py::dtype::of<std::uint32_t>();
    case DataType::kUint64:
      return py::dtype::of<std::uint64_t>();
    case DataType::kInt8:
      return py::dtype::of<std::int8_t>();
    case DataType::kInt16:
      return py::dtype::of<std::int16_t>();
    case DataType::kInt32:
      return py::dtype::of<std::int32_t>();
    case DataType::kInt64:
      return py::dtype::of<std::int64_t>();
    case DataType::kFp16:
      return py::dtype("e");
    case DataType::kFp32:
      return py::dtype::of<float>();
    case DataType::kFp64:
      return py::dtype::of<double>();
    default:
      throw ModelException("Unsupported triton dtype " + std::string(Info(type).name));
  }
}

std::shared_ptr<PyTensor> PyTensor::FromNumpy(const std::string& name, const py::array& array) {
  if (name.empty()) throw ModelException("Tensor name cannot be an empty string.");
  const DataType type = DataTypeOf(array.dtype());
  if (type == DataType::kInvalid) throw ModelException("NumPy dtype is not supported.");
  std::shared_ptr<PyTensor> tensor(new PyTensor());
  py::array contiguous = array;
  if (!(array.flags() & py::array::c_style)) {
    contiguous = py::module_::import("numpy").attr("ascontiguousarray")(array);
  }
  tensor->line_ = ModelLine();
  tensor->array_ = contiguous;
  tensor->value_.name = name;
  tensor->value_.dtype = type;
  // From the array as given: ascontiguousarray turns a 0-d array into a 1-d one.
  tensor->value_.dims.assign(array.shape(), array.shape() + array.ndim());
  if (type == DataType::kBytes) {
    try {
      tensor->encoded_ = EncodeBytes(contiguous);
    } catch (const Error& error) {
      throw ModelException(error.what());
    }
    tensor->value_.data = tensor->encoded_.data();
    tensor->value_.byte_size = tensor->encoded_.size();
  } else {
    tensor->value_.data = static_cast<const char*>(contiguous.data());
    tensor->value_.byte_size = static_cast<std::uint64_t>(contiguous.nbytes());
  }
  return tensor;
}

std::shared_ptr<PyTensor> PyTensor::FromDlpack(const std::string& name, const py::object& object) {
  if (name.empty()) throw ModelException("Tensor name cannot be an empty string.");
  std::shared_ptr<PyTensor> tensor(new PyTensor());
  tensor->line_ = ModelLine();
  tensor->value_ = ImportDlpack(object);
  tensor->value_.name = name;
  return tensor;
}

std::shared_ptr<PyTensor> PyTensor::FromValue(TensorValue value) {
  std::shared_ptr<PyTensor> tensor(new PyTensor());
  tensor->value_ = std::move(value);
  return tensor;
}

PyTensor::~PyTensor() {
  if (!array_) return;
  if (!Py_IsInitialized()) {
    array_.release();
    return;
  }
  // The last reference may fall on any thread: a DLPack consumer, a service thread.
  py::gil_scoped_acquire gil;
  array_ = py::object();
}

py::array PyTensor::AsNumpy() {
  if (array_) return py::reinterpret_borrow<py::array>(array_);
  if (!is_cpu()) throw ModelException("Tensor is stored in GPU and cannot be converted to NumPy.");
  if (value_.dtype == DataType::kBf16) {
    throw ModelException(
        "Tensor dtype is BF16 and cannot be converted to NumPy. Use to_dlpack() and from_dlpack() instead.");
  }
  if (value_.dtype == DataType::kBytes) {
    py::array decoded;
    try {
      decoded = DecodeBytes(value_.data, value_.byte_size, ElementCount(value_.dims));
    } catch (const Error& error) {
      throw ModelException(error.what());
    }
    py::tuple shape(value_.dims.size());
    for (std::size_t i = 0; i < value_.dims.size(); ++i) shape[i] = value_.dims[i];
    array_ = decoded.attr("reshape")(shape);
  } else {
    const std::vector<py::ssize_t> shape(value_.dims.begin(), value_.dims.end());
    py::array copy(NumpyTypeOf(value_.dtype), shape);
    if (static_cast<std::uint64_t>(copy.nbytes()) > value_.byte_size) {
      throw ModelException("tensor '" + value_.name + "' holds " + std::to_string(value_.byte_size) +
                           " bytes, its shape needs " + std::to_string(copy.nbytes()));
    }
    Copy(static_cast<char*>(copy.mutable_data()), value_.data, static_cast<std::uint64_t>(copy.nbytes()));
    if (!array_) array_ = copy;  // another thread may have been faster
  }
  return py::reinterpret_borrow<py::array>(array_);
}

py::capsule PyTensor::ToDlpack() { return ExportDlpack(shared_from_this()); }

py::tuple PyTensor::DlpackDevice() const {
  switch (value_.memory_type) {
    case MemoryType::kGpu:
      return py::make_tuple(static_cast<int>(kDlCuda), value_.memory_type_id);
    case MemoryType::kCpuPinned:
      return py::make_tuple(static_cast<int>(kDlCudaHost), 0);
    default:
      return py::make_tuple(static_cast<int>(kDlCpu), 0);
  }
}

Handle PyTensor::Save(Pool* pool, Refs* keep) {
  std::lock_guard<std::mutex> lock(saving_);
  if (!value_.block || value_.block->pool() != pool) {
    const Note& note = NoteScope::Current();
    const NoteScope scope(note.origin, line_ ? line_ : note.line, note.request);
    Refs made;
    WriteTensor(pool, value_, &made);
    Ref object = std::move(made.back());
    Ref memory = made.size() > 1 ? std::move(made.front()) : Ref();
    // Kept with the tensor: what was sent once is what will be sent again, as upstream has it.
    value_.block =
        std::make_shared<SharedBlock>(pool->shared_from_this(), std::move(object), std::move(memory));
  }
  return WriteTensor(pool, value_, keep);
}

}  // namespace wb
