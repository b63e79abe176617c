#include "host/retained.hpp"

#include <utility>

namespace wb {

void Retained::Keep(Parcel parcel, std::function<bool()> taken) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({std::move(parcel), std::move(taken)});
}

void Retained::Sweep() {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) return;
  Pool::Guard guard(pool_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    entry = entry->taken() ? entries_.erase(entry) : std::next(entry);
  }
}

bool Retained::empty() const {
  const std::lock_guard lock(mutex_);
  return entries_.empty();
}

void Retained::Clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace wb
