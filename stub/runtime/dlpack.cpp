#include "runtime/dlpack.hpp"

#include <cstdint>

#include "runtime/tensor.hpp"

namespace wb {

namespace {

// The structures of the DLPack standard (dlpack.h, ABI version 0).
struct DlDevice {
  std::int32_t type;
  std::int32_t id;
};
struct DlDataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct DlTensor {
  void* data;
  DlDevice device;
  std::int32_t ndim;
  DlDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct DlManagedTensor {
  DlTensor tensor;
  void* context;
  void (*deleter)(DlManagedTensor*);
};

constexpr const char* kFresh = "dltensor";
constexpr const char* kUsed = "used_dltensor";

enum DlCode : std::uint8_t { kInt = 0, kUint = 1, kFloat = 2, kBfloat = 4, kBool = 6 };

DlDataType ToDl(DataType type) {
  const auto bits = static_cast<std::uint8_t>(Info(type).element_size * 8);
  switch (type) {
    case DataType::kBool:
      return {kBool, bits, 1};
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
    case DataType::kUint64:
      return {kUint, bits, 1};
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
      return {kInt, bits, 1};
    case DataType::kFp16:
    case DataType::kFp32:
    case DataType::kFp64:
      return {kFloat, bits, 1};
    case DataType::kBf16:
      return {kBfloat, bits, 1};
    case DataType::kBytes:
      throw ModelException("DLPack does not have support for string tensors.");
    default:
      throw ModelException("DType code \"" + std::to_string(static_cast<int>(type)) + "\" is not supported.");
  }
}

DataType FromDl(const DlDataType& type) {
  if (type.code == kBfloat && type.bits != 16) {
    throw ModelException("Expected BF16 tensor to have 16 bits, but had: " + std::to_string(type.bits));
  }
  if (type.lanes != 1) return DataType::kInvalid;
  switch (type.code) {
    case kBool:
      return type.bits == 8 ? DataType::kBool : DataType::kInvalid;
    case kBfloat:
      return DataType::kBf16;
    case kInt:
      return type.bits == 8    ? DataType::kInt8
             : type.bits == 16 ? DataType::kInt16
             : type.bits == 32 ? DataType::kInt32
             : type.bits == 64 ? DataType::kInt64
                               : DataType::kInvalid;
    case kUint:
      return type.bits == 8    ? DataType::kUint8
             : type.bits == 16 ? DataType::kUint16
             : type.bits == 32 ? DataType::kUint32
             : type.bits == 64 ? DataType::kUint64
                               : DataType::kInvalid;
    case kFloat:
      return type.bits == 16   ? DataType::kFp16
             : type.bits == 32 ? DataType::kFp32
             : type.bits == 64 ? DataType::kFp64
                               : DataType::kInvalid;
    default:
      return DataType::kInvalid;
  }
}

// What an exported tensor needs to stay valid, in one piece.
struct Export {
  DlManagedTensor managed{};
  std::vector<std::int64_t> shape;
  py::object tensor;  // the model's own object: its references can be counted
};

// Consumers may call this on any thread, without the GIL, and even while the interpreter ends: then the
// process's end frees what is left.
void DeleteExport(DlManagedTensor* managed) {
  if (!Py_IsInitialized()) return;
  py::gil_scoped_acquire acquire;
  delete static_cast<Export*>(managed->context);
}

void CloseCapsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, kFresh)) return;  // consumed: the consumer owns it
  auto* managed = static_cast<DlManagedTensor*>(PyCapsule_GetPointer(capsule, kFresh));
  managed->deleter(managed);
}

void CheckContiguous(const DlTensor& tensor) {
  if (!tensor.strides) return;
  std::int64_t expected = 1;
  for (int i = tensor.ndim - 1; i >= 0; --i) {
    if (tensor.shape[i] == 0) return;  // no elements, no order
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) {
      throw ModelException(
          "DLPack tensor is not contiguous. Only contiguous DLPack tensors that are stored in C-Order are "
          "supported.");
    }
    expected *= tensor.shape[i];
  }
}

py::capsule TakeCapsule(const py::object& object) {
  if (PyCapsule_CheckExact(object.ptr())) return py::reinterpret_borrow<py::capsule>(object);
  if (!py::hasattr(object, "__dlpack__") || !py::hasattr(object, "__dlpack_device__")) {
    throw ModelException(
        "Provided tensor is not supported. Tensor must be a DLPack capsule or have `__dlpack__` and "
        "`__dlpack_device__` attributes");
  }
  const auto device = object.attr("__dlpack_device__")().cast<py::tuple>();
  if (device[0].cast<int>() == kDlCuda) {
    throw ModelException(
        "DLPack capsule passed pointer to memory allocated on GPU device, when GPU is not available");
  }
  return py::capsule(object.attr("__dlpack__")());
}

}  // namespace

py::capsule ExportDlpack(std::shared_ptr<PyTensor> tensor) {
  auto exported = std::make_unique<Export>();
  const TensorValue& value = tensor->value();
  exported->shape = value.dims;
  DlTensor& out = exported->managed.tensor;
  out.data = const_cast<char*>(value.data);
  const py::tuple device = tensor->DlpackDevice();
  out.device = {device[0].cast<std::int32_t>(), device[1].cast<std::int32_t>()};
  out.ndim = static_cast<std::int32_t>(exported->shape.size());
  out.dtype = ToDl(value.dtype);
  out.shape = exported->shape.data();
  out.strides = nullptr;  // C order
  exported->tensor = py::cast(std::move(tensor));
  exported->managed.context = exported.get();
  exported->managed.deleter = &DeleteExport;
  py::capsule capsule(static_cast<const void*>(&exported->managed), kFresh, &CloseCapsule);
  exported.release();
  return capsule;
}

TensorValue ImportDlpack(const py::object& object) {
  const py::capsule capsule = TakeCapsule(object);
  if (!PyCapsule_IsValid(capsule.ptr(), kFresh)) {
    throw ModelException(
        PyCapsule_IsValid(capsule.ptr(), kUsed)
            ? "DLPack capsule was consumed already; ask the tensor for a new one"
            : "Provided tensor is not supported. Tensor must be a DLPack capsule or have `__dlpack__` "
              "and `__dlpack_device__` attributes");
  }
  auto* managed = static_cast<DlManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), kFresh));
  const DlTensor& in = managed->tensor;
  TensorValue value;
  switch (in.device.type) {
    case kDlCpu:
      break;
    case kDlCudaHost:
      value.memory_type = MemoryType::kCpuPinned;
      break;
    case kDlCuda:
      throw ModelException(
          "DLPack capsule passed pointer to memory allocated on GPU device, when GPU is not available");
    default:
      throw ModelException("DLDevice type " + std::to_string(in.device.type) +
                           " is not supported by Python backend.");
  }
  CheckContiguous(in);
  value.dtype = FromDl(in.dtype);
  if (value.dtype == DataType::kInvalid) throw ModelException("DLPack dtype is not supported.");
  value.dims.assign(in.shape, in.shape + in.ndim);
  value.data = static_cast<const char*>(in.data) + in.byte_offset;
  value.byte_size = Info(value.dtype).element_size;
  for (const auto dim : value.dims) value.byte_size *= static_cast<std::uint64_t>(dim);
  PyCapsule_SetName(capsule.ptr(), kUsed);
  PyCapsule_SetDestructor(capsule.ptr(), nullptr);
  value.owner = std::shared_ptr<void>(managed, [](void* pointer) {
    auto* owned = static_cast<DlManagedTensor*>(pointer);
    if (!owned->deleter || !Py_IsInitialized()) return;  // as above
    py::gil_scoped_acquire gil;  // producers written in Python-aware libraries expect it
    owned->deleter(owned);
  });
  return value;
}

}  // namespace wb
