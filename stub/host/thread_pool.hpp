// Threads for work that may block: handlers written in Python, mostly. With one thread it keeps the order.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace wb {

class ThreadPool {
 public:
  // Threads are started when there is work for them, at most `most`.
  explicit ThreadPool(std::size_t most);
  ~ThreadPool() { Stop(); }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Jobs must not throw. False after Stop, and where not even one thread can be had: the job is dropped then.
  bool Submit(std::function<void()> job);
  // Jobs waiting or at work.
  std::size_t jobs() const;
  // Drops waiting jobs and waits for running ones, except for one that calls this itself. Idempotent.
  void Stop();

 private:
  struct State;

  bool AddThread();

  std::shared_ptr<State> state_;  // outlives the pool in a thread that stopped it
};

}  // namespace wb
