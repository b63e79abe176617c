// What the blocks of a region hold, by what they look like: nothing in a block says what it is, but its size
// has to fit what is in it, and every handle in it has to name a block that fits in its turn.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "inspect/walk.hpp"
#include "shm/note.hpp"

namespace wb {

enum class Kind : std::uint8_t {
  kUnknown,
  kControl,  // control block, and what the allocator names: the lock and the size
  kQueue,    // queues and their slots
  kRequest,  // requests, their batches, correlation ids, traces
  kTensor,
  kString,    // strings, maps of strings
  kResponse,  // responses, their batches, errors
  kMessage,   // messages and their locks, log and metric and sender messages
};
const char* Name(Kind kind);

struct UsedBlock {
  Handle handle = 0;
  std::uint64_t bytes = 0;  // the block's own header included
  Kind kind = Kind::kUnknown;
  std::uint32_t references = 0;  // 0 for what is not counted
  std::string label;             // of a tensor: "INPUT0 FP32[4]"
  std::optional<Note> note;
};

struct QueueState {
  const char* name;
  std::uint64_t size = 0;
  std::uint64_t depth = 0;
};

struct Contents {
  std::vector<UsedBlock> blocks;  // in order of address
  std::vector<QueueState> queues;
  bool control_found = false;
  bool noted = false;  // both sides leave notes, so those in `blocks` can be believed
};

Contents Classify(RegionReader* reader, const Walk& walk);

}  // namespace wb
