// The process on the other side, watched through a pidfd: its death is known at once, whoever its parent is,
// and a recycled pid is never mistaken for it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>

namespace wb {

class Peer {
 public:
  Peer() = default;
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Throws PeerGone if there is no such process (any more), Error if it cannot be watched.
  void Attach(pid_t pid);
  bool attached() const { return fd_ >= 0; }
  // Asks the system. Once true it stays true.
  bool Gone();
  // The same, once it is so or the time is over.
  bool GoneWithin(std::chrono::milliseconds patience);
  // Sleeps until the process has ended (true) or Stop was called (false).
  bool WaitForEnd();
  void Stop() noexcept;

 private:
  int fd_ = -1;
  int stop_fd_ = -1;
  std::atomic<bool> gone_{false};
};

}  // namespace wb
