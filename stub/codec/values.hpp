// What the messages say, as plain C++ values. Both sides use them; neither bindings nor queues appear here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/datatypes.hpp"
#include "protocol/error.hpp"
#include "protocol/layout.hpp"
#include "shm/pool.hpp"

namespace wb {

// A reference to an object that also keeps the whole mapping alive: for what outlives a conversation.
class SharedBlock {
 public:
  SharedBlock(std::shared_ptr<Pool> pool, Ref tensor, Ref memory)
      : pool_(std::move(pool)), tensor_(std::move(tensor)), memory_(std::move(memory)) {
    pool_->Hold(tensor_.handle());
    if (memory_) pool_->Hold(memory_.handle());
  }
  ~SharedBlock() {
    pool_->LetGo(tensor_.handle());
    if (memory_) pool_->LetGo(memory_.handle());
  }
  SharedBlock(const SharedBlock&) = delete;
  SharedBlock& operator=(const SharedBlock&) = delete;

  Pool* pool() const { return pool_.get(); }
  Handle tensor_handle() const { return tensor_.handle(); }
  // 0 if the bytes are embedded in the tensor.
  Handle memory_handle() const { return memory_ ? memory_.handle() : 0; }

 private:
  std::shared_ptr<Pool> pool_;  // destroyed last: declared first
  Ref tensor_;
  Ref memory_;
};

// A tensor: description and where its bytes are. `block` is set if it lies in a region, `owner` if elsewhere.
struct TensorValue {
  std::string name;
  DataType dtype = DataType::kInvalid;
  std::vector<std::int64_t> dims;
  const char* data = nullptr;
  std::uint64_t byte_size = 0;
  MemoryType memory_type = MemoryType::kCpu;
  std::int64_t memory_type_id = 0;
  std::shared_ptr<SharedBlock> block;
  std::shared_ptr<void> owner;
};

struct ErrorValue {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

struct CorrelationId {
  bool is_text = false;
  std::uint64_t number = 0;
  std::string text;
};

struct TraceValue {
  std::string context;
  std::uint64_t trace = 0;
};

// TRITONSERVER_REQUEST_RELEASE_*
inline constexpr std::uint32_t kReleaseAll = 1;
inline constexpr std::uint32_t kReleaseReschedule = 2;
// TRITONSERVER_REQUEST_FLAG_SEQUENCE_START
inline constexpr std::uint32_t kSequenceStart = 1;
// TRITONSERVER_RESPONSE_COMPLETE_FINAL
inline constexpr std::uint32_t kResponseFinal = 1;
// PreferredMemory default: wherever the producer put it
inline constexpr std::int32_t kPreferredDefault = 2;

struct RequestValue {
  std::string id;
  CorrelationId correlation_id;
  std::string model_name;
  std::int64_t model_version = -1;
  std::uint32_t flags = 0;
  std::uint64_t timeout_us = 0;
  std::int32_t preferred_memory = kPreferredDefault;
  std::int64_t preferred_device = 0;
  TraceValue trace;
  std::string parameters = "{}";
  std::vector<std::string> requested_outputs;  // sorted and unique on the wire
  std::vector<TensorValue> inputs;
  std::int64_t address = 0;
  std::int64_t factory = 0;
};

struct ResponseValue {
  std::vector<TensorValue> outputs;
  std::optional<ErrorValue> error;
  std::string parameters;  // JSON or ""
  std::uint64_t id = 0;
  bool is_last = true;
};

}  // namespace wb
