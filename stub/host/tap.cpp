#include "host/tap.hpp"

#include <time.h>

#include <algorithm>
#include <cstring>

namespace wb {

namespace {

constexpr std::size_t kMostText = 2048;
constexpr std::size_t kMostName = 255;
constexpr std::size_t kMostTensors = 64;
constexpr std::size_t kMostDims = 32;

// An event in the ring: this, the two texts, then the tensors, each a TensorHead, its dims, its name.
struct Head {
  std::uint32_t size;  // of all of it
  std::uint8_t kind;
  std::uint8_t final : 1;
  std::uint8_t error : 1;
  std::uint8_t decoupled : 1;
  std::uint8_t form : 2;
  std::uint16_t tensors;
  std::uint32_t line;
  std::uint32_t order;
  std::uint64_t span;
  std::uint64_t parent;
  std::uint64_t other;
  std::int64_t time;
  std::int64_t since;
  std::uint32_t name_size;
  std::uint32_t text_size;
};

struct TensorHead {
  std::uint64_t byte_size;
  std::uint8_t dtype;
  std::uint8_t dims;
  std::uint16_t name_size;
};

template <typename Tensor>
TensorHead HeadOf(const Tensor& tensor) {
  TensorHead head{};
  head.byte_size = tensor.byte_size;
  head.dtype = static_cast<std::uint8_t>(tensor.dtype);
  head.dims = static_cast<std::uint8_t>(std::min(tensor.dims.size(), kMostDims));
  head.name_size = static_cast<std::uint16_t>(std::min(tensor.name.size(), kMostName));
  return head;
}

const std::vector<TapTensor>& NoTensors() {
  static const std::vector<TapTensor> none;
  return none;
}

}  // namespace

std::uint64_t NextSpan() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

std::int64_t MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

Tap::Tap(std::size_t capacity) : ring_(capacity), enabled_(capacity > 0) {}

void Tap::Record(TapEvent event, const std::vector<TensorValue>& tensors) noexcept { Write(event, tensors); }

void Tap::Record(const TapEvent& event) noexcept { Write(event, NoTensors()); }

void Tap::Record(TapEvent event, const std::vector<TapTensor>& tensors) noexcept { Write(event, tensors); }

template <typename Tensors>
void Tap::Write(TapEvent event, const Tensors& tensors) noexcept {
  if (!enabled()) return;
  Head head{};
  head.kind = static_cast<std::uint8_t>(event.kind);
  head.final = event.final;
  head.error = event.error;
  head.decoupled = event.decoupled;
  head.form = static_cast<std::uint8_t>(event.form) & 3;
  head.tensors = static_cast<std::uint16_t>(std::min(tensors.size(), kMostTensors));
  head.line = event.line;
  head.order = event.order;
  head.span = event.span;
  head.parent = event.parent;
  head.other = event.other;
  head.time = event.time ? event.time : MonotonicNow();
  head.since = event.since;
  head.name_size = static_cast<std::uint32_t>(std::min(event.name.size(), kMostName));
  head.text_size = static_cast<std::uint32_t>(std::min(event.text.size(), kMostText));
  std::size_t size = sizeof head + head.name_size + head.text_size;
  for (std::size_t i = 0; i < head.tensors; ++i) {
    const TensorHead tensor = HeadOf(tensors[i]);
    size += sizeof tensor + tensor.dims * sizeof(std::int64_t) + tensor.name_size;
  }
  head.size = static_cast<std::uint32_t>(size);
  const std::lock_guard lock(mutex_);
  if (size > ring_.size()) {
    ++dropped_;
    return;
  }
  while (head_ + size - tail_ > ring_.size()) {
    std::uint32_t oldest = 0;
    Get(tail_, &oldest, sizeof oldest);
    tail_ += oldest;
    ++dropped_;
  }
  Put(&head, sizeof head);
  Put(event.name.data(), head.name_size);
  Put(event.text.data(), head.text_size);
  for (std::size_t i = 0; i < head.tensors; ++i) {
    const TensorHead tensor = HeadOf(tensors[i]);
    Put(&tensor, sizeof tensor);
    Put(tensors[i].dims.data(), tensor.dims * sizeof(std::int64_t));
    Put(tensors[i].name.data(), tensor.name_size);
  }
}

void Tap::Put(const void* data, std::size_t size) {
  if (size == 0) return;
  const std::size_t at = head_ % ring_.size();
  const std::size_t first = std::min(size, ring_.size() - at);
  std::memcpy(ring_.data() + at, data, first);
  std::memcpy(ring_.data(), static_cast<const char*>(data) + first, size - first);
  head_ += size;
}

void Tap::Get(std::uint64_t from, void* data, std::size_t size) const {
  if (size == 0) return;
  const std::size_t at = from % ring_.size();
  const std::size_t first = std::min(size, ring_.size() - at);
  std::memcpy(data, ring_.data() + at, first);
  std::memcpy(static_cast<char*>(data) + first, ring_.data(), size - first);
}

void Tap::set_enabled(bool enabled) {
  const std::lock_guard lock(mutex_);
  enabled_ = enabled && !ring_.empty();
}

std::size_t Tap::capacity() const {
  const std::lock_guard lock(mutex_);
  return ring_.size();
}

void Tap::Resize(std::size_t capacity) {
  const std::lock_guard lock(mutex_);
  ring_ = std::vector<char>(capacity);
  tail_ = head_;
  enabled_ = capacity > 0;
}

std::uint64_t Tap::position() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

std::uint64_t Tap::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

std::vector<TapRecord> Tap::Read(std::uint64_t from, std::size_t most) const {
  // Copied out first: whoever records must not wait for the reading.
  std::vector<char> bytes;
  {
    const std::lock_guard lock(mutex_);
    std::uint64_t begin = std::clamp(from, tail_, head_);
    while (head_ - begin > most) {
      std::uint32_t size = 0;
      Get(begin, &size, sizeof size);
      begin += size;
    }
    bytes.resize(static_cast<std::size_t>(head_ - begin));
    Get(begin, bytes.data(), bytes.size());
  }
  std::vector<TapRecord> records;
  std::size_t at = 0;
  const auto take = [&](void* data, std::size_t size) {
    if (size > 0) std::memcpy(data, bytes.data() + at, size);
    at += size;
  };
  while (at < bytes.size()) {
    Head head{};
    take(&head, sizeof head);
    TapRecord record;
    TapEvent& event = record.event;
    event.kind = static_cast<TapKind>(head.kind);
    event.final = head.final;
    event.error = head.error;
    event.decoupled = head.decoupled;
    event.form = static_cast<CallForm>(head.form);
    event.line = head.line;
    event.order = head.order;
    event.span = head.span;
    event.parent = head.parent;
    event.other = head.other;
    event.time = head.time;
    event.since = head.since;
    record.name.resize(head.name_size);
    take(record.name.data(), head.name_size);
    record.text.resize(head.text_size);
    take(record.text.data(), head.text_size);
    for (std::size_t i = 0; i < head.tensors; ++i) {
      TensorHead tensor{};
      take(&tensor, sizeof tensor);
      TapTensor& made = record.tensors.emplace_back();
      made.byte_size = tensor.byte_size;
      made.dtype = static_cast<DataType>(tensor.dtype);
      made.dims.resize(tensor.dims);
      take(made.dims.data(), tensor.dims * sizeof(std::int64_t));
      made.name.resize(tensor.name_size);
      take(made.name.data(), tensor.name_size);
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace wb
