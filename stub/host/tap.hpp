// Every message that crosses between host and stub, as a timed event in a ring of bytes that never grows.
// One tap serves all channels of a session. Writing an event takes well under a microsecond.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "codec/values.hpp"

namespace wb {

// Identifies a request, a batch or a call; unique in this process, never 0.
std::uint64_t NextSpan();
// CLOCK_MONOTONIC, nanoseconds.
std::int64_t MonotonicNow();

enum class TapKind : std::uint8_t {
  kRequest,   // a request went to its stub. other: its batch; since: when it was made
  kResponse,  // a response to it, or its end without one
  kExecuted,  // the stub answered a batch. since: when all of it lay in the region
  kCall,      // a model called another. parent: the batch it was executing
  kReply,     // a response to a call, or what ended something begun
  kBegin,     // something of the session itself begins: an ensemble's request
};

// How a model made a call, if its stub says.
enum class CallForm : std::uint8_t { kUnknown, kExec, kAsyncExec };

struct TapEvent {
  TapKind kind = TapKind::kRequest;
  bool final = false;
  bool error = false;
  bool decoupled = false;
  CallForm form = CallForm::kUnknown;
  std::uint32_t line = 0;   // of the model's source, 0 if not known
  std::uint32_t order = 0;  // of calls of one stub
  std::uint64_t span = 0;
  std::uint64_t parent = 0;
  std::uint64_t other = 0;
  std::int64_t time = 0;
  std::int64_t since = 0;
  std::string_view name;  // of a model
  std::string_view text;  // of an error
};

struct TapTensor {
  std::string name;
  DataType dtype = DataType::kInvalid;
  std::vector<std::int64_t> dims;
  std::uint64_t byte_size = 0;
};

// An event read back.
struct TapRecord {
  TapEvent event;  // its views are empty: see below
  std::string name;
  std::string text;
  std::vector<TapTensor> tensors;
};

class Tap {
 public:
  // `capacity`: bytes of the ring; 0 records nothing.
  explicit Tap(std::size_t capacity);
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }
  void set_enabled(bool enabled);
  std::size_t capacity() const;
  // Forgets all events.
  void Resize(std::size_t capacity);

  // Drops the oldest events to make room. Sets the time unless it is set. Never throws.
  void Record(TapEvent event, const std::vector<TensorValue>& tensors) noexcept;
  void Record(const TapEvent& event) noexcept;
  void Record(TapEvent event, const std::vector<TapTensor>& tensors) noexcept;

  // Where the next event will stand.
  std::uint64_t position() const;
  // Events dropped so far.
  std::uint64_t dropped() const;
  // Events from a position on, or from the oldest there is; of more than `most` bytes the newest.
  std::vector<TapRecord> Read(std::uint64_t from, std::size_t most) const;

 private:
  template <typename Tensors>
  void Write(TapEvent event, const Tensors& tensors) noexcept;
  void Put(const void* data, std::size_t size);
  void Get(std::uint64_t at, void* data, std::size_t size) const;

  std::vector<char> ring_;
  std::atomic<bool> enabled_;
  mutable std::mutex mutex_;
  std::uint64_t head_ = 0;  // offsets since the beginning of time; modulo the capacity in the ring
  std::uint64_t tail_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace wb
