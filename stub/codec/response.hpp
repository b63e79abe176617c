// Inference responses and batches of them on the wire (protocol.md §5.9, §5.11, §7.2).
#pragma once

#include "codec/values.hpp"
#include "protocol/releases.hpp"

namespace wb {

Handle WriteResponse(Pool* pool, const Release& release, const ResponseValue& response, Refs* keep);
ResponseValue ReadResponse(const std::shared_ptr<Pool>& pool, const Release& release, Handle handle);

// The answer to one batch. A failed batch has an error text and no responses.
struct ResponseBatchValue {
  bool has_error = false;
  std::string error;
  bool factories_deleted = false;
  std::vector<Handle> responses;  // 0: no response for this request
};

// A batch as an object of its own. The caller may set the flag of `wire::ResponseBatch` for pattern D.
Handle WriteResponseBatch(Pool* pool, const Release& release, const ResponseBatchValue& batch, Refs* keep);
ResponseBatchValue ReadResponseBatch(Pool* pool, const Release& release, Handle handle);

// ExecuteResponse: the handle to push (a message that contains or names the batch).
Handle WriteExecuteResponse(Pool* pool, const Release& release, const ResponseBatchValue& batch, Refs* keep);
// `with_handles`: false for the bare batch of the releases that send every response on its own, whose
// batch_size is uninitialised.
ResponseBatchValue ReadExecuteResponse(Pool* pool, const Release& release, Handle message, bool with_handles);

}  // namespace wb
