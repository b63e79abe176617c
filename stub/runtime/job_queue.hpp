// A thread that does small jobs in order: log lines and clean-ups that must not hold up the model.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "shm/forks.hpp"

namespace wb {

class JobQueue {
 public:
  ~JobQueue() { Stop(); }

  void Start();
  // Jobs pushed while the queue does not run are dropped; so are those of a forked worker of the model.
  void Push(std::function<void()> job);
  // Does what is queued, then ends the thread. Idempotent. Call without the GIL.
  void Stop();
  bool running();
  // Waits a moment for what is queued to be done. Call without the GIL.
  void Settle();

 private:
  void Run();

  const unsigned forks_ = Forks();
  std::mutex mutex_;  // for ever locked in a worker, if it was at the fork
  std::condition_variable changed_;
  std::condition_variable done_;
  std::deque<std::function<void()>> jobs_;
  std::thread thread_;
  bool running_ = false;
  bool busy_ = false;
  bool stopping_ = false;
};

}  // namespace wb
