// Tensors and their memory on the wire (protocol.md §5.3, §5.4).
#pragma once

#include "codec/values.hpp"

namespace wb {

// Copies the tensor into the pool, unless it lies there already: then the same object is named again.
// Throws PoolExhausted, and Error for device memory.
Handle WriteTensor(Pool* pool, const TensorValue& tensor, Refs* keep);

// Room for a tensor whose bytes are still to come: `*data` is where they go.
Handle WriteTensorHeader(Pool* pool, const TensorValue& description, Refs* keep, char** data);

// The value shares the object: its bytes stay valid as long as value.block lives.
TensorValue ReadTensor(const std::shared_ptr<Pool>& pool, Handle handle);

// A stand-alone memory object, as a histogram's bucket boundaries travel.
Handle WriteMemory(Pool* pool, const void* data, std::size_t size, Refs* keep);
std::string ReadMemory(Pool* pool, Handle handle);

}  // namespace wb
