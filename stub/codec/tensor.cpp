#include "codec/tensor.hpp"

#include <cstring>

#include "codec/text.hpp"

namespace wb {

namespace {

// Embedded data begins wherever the name ends. Above this size it is worth a block of its own, in which data
// is aligned for every datatype (views, DLPack, vector instructions).
constexpr std::size_t kSeparateFrom = 512;
constexpr std::size_t kElementAlignment = 8;

std::size_t HeaderSize(const TensorValue& tensor) {
  return sizeof(wire::Tensor) + tensor.dims.size() * sizeof(std::int64_t) + sizeof(wire::String) +
         tensor.name.size();
}

void FillMemory(char* at, const TensorValue& tensor) {
  wire::Memory memory{};
  memory.memory_type = static_cast<std::int32_t>(MemoryType::kCpu);
  memory.byte_size = tensor.byte_size;
  std::memcpy(at, &memory, sizeof(memory));  // the place may be unaligned
}

}  // namespace

Handle WriteTensorHeader(Pool* pool, const TensorValue& tensor, Refs* keep, char** data) {
  Pool::Guard guard(pool);
  const std::size_t header_size = HeaderSize(tensor);
  const bool separate =
      tensor.byte_size >= kSeparateFrom && (header_size + sizeof(wire::Memory)) % kElementAlignment != 0;
  const std::size_t memory_size = sizeof(wire::Memory) + tensor.byte_size;
  Ref memory;
  if (separate) {
    memory = pool->Allocate(memory_size);
    FillMemory(memory.data(), tensor);
    *data = memory.data() + sizeof(wire::Memory);
  }
  Ref object = pool->Allocate(header_size + (separate ? 0 : memory_size));
  char* at = object.data();
  wire::Tensor header{};
  header.memory = separate ? memory.handle() : 0;
  header.dtype = static_cast<std::int32_t>(tensor.dtype);
  header.dims_count = tensor.dims.size();
  std::memcpy(at, &header, sizeof(header));
  at += sizeof(header);
  Copy(at, tensor.dims.data(), tensor.dims.size() * sizeof(std::int64_t));
  at += tensor.dims.size() * sizeof(std::int64_t);
  wire::String name{};
  name.length = tensor.name.size();
  std::memcpy(at, &name, sizeof(name));
  at += sizeof(name);
  std::memcpy(at, tensor.name.data(), tensor.name.size());
  at += tensor.name.size();
  if (!separate) {
    FillMemory(at, tensor);
    *data = at + sizeof(wire::Memory);
  }
  const Handle handle = object.handle();
  if (memory) keep->push_back(std::move(memory));
  keep->push_back(std::move(object));
  return handle;
}

Handle WriteTensor(Pool* pool, const TensorValue& tensor, Refs* keep) {
  if (tensor.block && tensor.block->pool() == pool) {
    // Both parts: the value may die before the other side has loaded them.
    Pool::Guard guard(pool);
    keep->push_back(pool->Load(tensor.block->tensor_handle()));
    if (tensor.block->memory_handle() != 0) keep->push_back(pool->Load(tensor.block->memory_handle()));
    return tensor.block->tensor_handle();
  }
  if (tensor.memory_type == MemoryType::kGpu) {
    throw Error("tensor '" + tensor.name + "' is stored in GPU memory and no CUDA driver is in use here.\n" +
                "hint: copy it to the host first (for example tensor.cpu())");
  }
  char* data = nullptr;
  const Handle handle = WriteTensorHeader(pool, tensor, keep, &data);
  // Outside of the region's lock: a large copy must not stop the other side's allocations.
  if (tensor.byte_size > 0) std::memcpy(data, tensor.data, tensor.byte_size);
  return handle;
}

TensorValue ReadTensor(const std::shared_ptr<Pool>& pool, Handle handle) {
  Ref object = pool->Load(handle);
  const char* at = pool->At(handle, sizeof(wire::Tensor));
  wire::Tensor header;
  std::memcpy(&header, at, sizeof(header));
  constexpr std::size_t kMostDims = 1024;
  if (header.dims_count > kMostDims) throw RegionBroken("a tensor in shared memory has an impossible rank");
  TensorValue tensor;
  tensor.dtype = static_cast<DataType>(header.dtype);
  const std::size_t dims_size = header.dims_count * sizeof(std::int64_t);
  std::size_t offset = sizeof(header);
  at = pool->At(handle, offset + dims_size + sizeof(wire::String));
  tensor.dims.resize(header.dims_count);
  Copy(tensor.dims.data(), at + offset, dims_size);
  offset += dims_size;
  wire::String name;
  std::memcpy(&name, at + offset, sizeof(name));
  offset += sizeof(name);
  if (name.length > pool->Capacity())
    throw RegionBroken("a tensor's name in shared memory has an impossible length");
  at = pool->At(handle, offset + name.length);
  tensor.name.assign(at + offset, name.length);
  offset += name.length;

  Ref separate;
  wire::Memory memory;
  const char* memory_at = nullptr;
  if (header.memory == 0) {
    memory_at = pool->At(handle, offset + sizeof(memory)) + offset;
    std::memcpy(&memory, memory_at, sizeof(memory));
    if (memory.byte_size > pool->Capacity())
      throw RegionBroken("a tensor in shared memory has an impossible size");
    pool->At(handle, offset + sizeof(memory) + memory.byte_size);
  } else {
    separate = pool->Load(header.memory);
    memory_at = pool->At(header.memory, sizeof(memory));
    std::memcpy(&memory, memory_at, sizeof(memory));
    if (memory.memory_type != static_cast<std::int32_t>(MemoryType::kGpu)) {
      if (memory.byte_size > pool->Capacity())
        throw RegionBroken("a tensor in shared memory has an impossible size");
      pool->At(header.memory, sizeof(memory) + memory.byte_size);
    }
  }
  tensor.byte_size = memory.byte_size;
  tensor.memory_type = static_cast<MemoryType>(memory.memory_type);
  tensor.memory_type_id = memory.memory_type_id;
  if (tensor.memory_type == MemoryType::kGpu && tensor.byte_size > 0) {
    throw Error("tensor '" + tensor.name + "' is stored in GPU memory and no CUDA driver is in use here");
  }
  tensor.data = memory_at + sizeof(memory);
  tensor.block = std::make_shared<SharedBlock>(pool, std::move(object), std::move(separate));
  return tensor;
}

Handle WriteMemory(Pool* pool, const void* data, std::size_t size, Refs* keep) {
  Ref object = pool->Allocate(sizeof(wire::Memory) + size);
  wire::Memory memory{};
  memory.byte_size = size;
  std::memcpy(object.data(), &memory, sizeof(memory));
  Copy(object.data() + sizeof(memory), data, size);
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

std::string ReadMemory(Pool* pool, Handle handle) {
  const auto* memory = pool->At<wire::Memory>(handle);
  const std::uint64_t size = memory->byte_size;
  if (size > pool->Capacity()) throw RegionBroken("a memory block in shared memory has an impossible size");
  return std::string(pool->At(handle, sizeof(wire::Memory) + size) + sizeof(wire::Memory), size);
}

}  // namespace wb
