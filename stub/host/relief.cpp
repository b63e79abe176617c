#include "host/relief.hpp"

#include <chrono>

namespace wb {

namespace {

constexpr auto kPatience = std::chrono::milliseconds(2);  // with a reader that works
constexpr int kQuiet = 25;  // so many looks without work, and the clock is not looked at any more

}  // namespace

bool Relief::Begin() {
  const std::lock_guard lock(mutex_);
  if (!stands_by_ || stopped_) return false;
  working_ = true;
  ++work_;
  if (parked_) changed_.notify_all();
  return true;
}

bool Relief::End(Seat seat) {
  const std::lock_guard lock(mutex_);
  if (reader_ != seat) return false;
  working_ = false;
  return true;
}

// Looks from time to time instead of being told: the reader works thousands of times a second, and hardly
// ever for long.
bool Relief::StandBy(Seat seat) {
  std::unique_lock lock(mutex_);
  stands_by_ = true;
  std::uint64_t seen = work_;
  for (int quiet = kQuiet;;) {
    if (quiet >= kQuiet) {
      parked_ = true;
      changed_.wait(lock, [this] { return stopped_ || working_; });
      parked_ = false;
      seen = work_;
      quiet = 0;
    }
    if (changed_.wait_for(lock, kPatience, [this] { return stopped_; })) return false;
    if (working_ && work_ == seen) break;
    quiet = work_ == seen ? quiet + 1 : 0;
    seen = work_;
  }
  working_ = stands_by_ = false;
  reader_ = seat;
  return true;
}

void Relief::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace wb
