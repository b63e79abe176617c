// Whose turn it is: the one hand-over of the protocol (protocol.md §4.4).
//
// Every blocking message has a mutex, a condition and a flag; the patterns differ in who flips the flag and
// in how many phases. All of them wait through Await.
#pragma once

#include <chrono>
#include <functional>

#include "protocol/error.hpp"
#include "shm/sync.hpp"

namespace wb {

// Bounds of a wait. Default: for ever (a stub ends with its parent, so it needs no bound of its own).
struct Watch {
  Deadline deadline = Deadline::Never();
  std::function<bool()> peer_gone;  // asked several times a second

  static constexpr auto kSlice = std::chrono::milliseconds(100);
  bool unbounded() const { return deadline.is_never() && !peer_gone; }
};

// With `mutex` held, waits until done(). Throws TimedOut or PeerGone naming `what`; the mutex stays held.
template <typename Done>
void Await(pthread_cond_t* condition, pthread_mutex_t* mutex, const Watch& watch, const char* what,
           Done done) {
  while (!done()) {
    if (watch.unbounded()) {
      WaitCondition(condition, mutex, Deadline::Never());
      continue;
    }
    const bool woken = WaitCondition(condition, mutex, watch.deadline.Slice(Watch::kSlice));
    if (done()) return;
    if (watch.deadline.passed()) throw TimedOut(std::string("timed out waiting for ") + what);
    if (!woken && watch.peer_gone && watch.peer_gone()) {
      throw PeerGone(std::string("the other process is gone; was waiting for ") + what);
    }
  }
}

}  // namespace wb
