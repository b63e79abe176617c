// Objects this side made for the other and may release only when it has taken them.
//
// Upstream's parent blocks a thread for each of these (the last "single wait" of a BLS answer, the second
// phase of a stream response). Nothing but the release depends on it, so here the objects are put aside with
// a test that says when they were taken, and no thread waits.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <vector>

#include "codec/envelope.hpp"
#include "shm/pool.hpp"

namespace wb {

struct Parcel {
  Refs refs;
  std::vector<Envelope> envelopes;
};

class Retained {
 public:
  explicit Retained(Pool* pool) : pool_(pool) {}

  // `taken` is asked under the region's lock now and then.
  void Keep(Parcel parcel, std::function<bool()> taken);
  // Releases what was taken.
  void Sweep();
  bool empty() const;
  void Clear();

 private:
  struct Entry {
    Parcel parcel;
    std::function<bool()> taken;
  };

  Pool* pool_;
  mutable std::mutex mutex_;  // taken before the region's lock, never inside it
  std::list<Entry> entries_;
};

}  // namespace wb
