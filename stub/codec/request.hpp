// Inference requests and batches of them on the wire (protocol.md §5.6 to §5.8, §5.10).
#pragma once

#include "codec/shared_texts.hpp"
#include "codec/values.hpp"

namespace wb {

// Release flags start as kReleaseAll. Requested outputs are written sorted and unique. With `shared`, what is
// the same in many requests is written once.
Handle WriteRequest(Pool* pool, const RequestValue& request, Refs* keep, SharedTexts* shared = nullptr);
// Tensors take references, the rest is copied.
RequestValue ReadRequest(const std::shared_ptr<Pool>& pool, Handle handle);

Handle WriteRequestBatch(Pool* pool, const std::vector<Handle>& requests, Refs* keep);
std::vector<Handle> ReadRequestBatch(Pool* pool, Handle handle);

std::uint32_t ReadReleaseFlags(Pool* pool, Handle request);
void WriteReleaseFlags(Pool* pool, Handle request, std::uint32_t flags);

}  // namespace wb
