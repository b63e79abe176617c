#include "host/thread_pool.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace wb {

struct ThreadPool::State {
  std::size_t most;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> waiting;
  std::size_t idle = 0;
  bool stopped = false;
  std::atomic<std::size_t> jobs{0};
  std::vector<std::thread> threads;

  void Run() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      wake.wait(lock, [this] { return stopped || !waiting.empty(); });
      --idle;
      if (stopped) return;
      std::function<void()> job = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      job();
      job = nullptr;  // before it counts as done: what it holds may be looked at then
      --jobs;
      lock.lock();
    }
  }
};

ThreadPool::ThreadPool(std::size_t most) : state_(std::make_shared<State>()) {
  state_->most = most ? most : 1;
}

bool ThreadPool::Submit(std::function<void()> job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopped) return false;
    state_->waiting.push_back(std::move(job));
    ++state_->jobs;
    if (state_->idle < state_->waiting.size() && state_->threads.size() < state_->most && !AddThread()) {
      job = std::move(state_->waiting.back());  // dropped when the lock is free: it may have much to say
      state_->waiting.pop_back();
      --state_->jobs;
      return false;
    }
  }
  state_->wake.notify_one();
  return true;
}

// With the lock. False: there is no thread at all.
bool ThreadPool::AddThread() {
  try {
    state_->threads.emplace_back([state = state_] { state->Run(); });
  } catch (const std::system_error&) {  // those that there are will come to it
  }
  return !state_->threads.empty();
}

std::size_t ThreadPool::jobs() const { return state_->jobs; }

void ThreadPool::Stop() {
  std::vector<std::thread> threads;
  std::deque<std::function<void()>> dropped;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
    threads.swap(state_->threads);
    dropped.swap(state_->waiting);
    state_->jobs -= dropped.size();
  }
  state_->wake.notify_all();
  for (std::thread& thread : threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

}  // namespace wb
