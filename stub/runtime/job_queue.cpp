#include "runtime/job_queue.hpp"

#include <chrono>
#include <cstdio>
#include <exception>

namespace wb {

namespace {

constexpr auto kSettlePatience = std::chrono::milliseconds(100);

}  // namespace

void JobQueue::Start() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (running_) return;
  running_ = true;
  stopping_ = false;
  thread_ = std::thread([this] { Run(); });
}

void JobQueue::Push(std::function<void()> job) {
  if (forks_ != Forks()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!running_) return;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

bool JobQueue::running() {
  if (forks_ != Forks()) return false;
  std::lock_guard<std::mutex> lock(mutex_);
  return running_;
}

void JobQueue::Settle() {
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait_for(lock, kSettlePatience, [this] { return !running_ || (jobs_.empty() && !busy_); });
}

void JobQueue::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void JobQueue::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) break;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    busy_ = true;
    lock.unlock();
    try {
      job();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "triton stub: a background message was lost: %s\n", error.what());
    }
    job = nullptr;
    lock.lock();
    busy_ = false;
    if (jobs_.empty()) done_.notify_all();
  }
  running_ = false;
  done_.notify_all();
}

}  // namespace wb
