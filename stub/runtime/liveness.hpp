// The sign of life a parent looks for, and this process's own look at its parent (protocol.md §1.4).
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime/stub.hpp"

namespace wb {

class Liveness {
 public:
  explicit Liveness(Stub* stub) : stub_(stub) {}
  ~Liveness() { Stop(); }

  // Announces this stub to the parent, then ticks every 300 ms without ever needing the GIL.
  // If the parent is gone the process ends at once: whatever another thread waits for will never come.
  void Start();
  void Stop();

 private:
  void Run();
  void Tick();

  Stub* stub_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace wb
