#include "runtime/liveness.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "protocol/error.hpp"
#include "shm/note.hpp"
#include "shm/sync.hpp"

namespace wb {

namespace {

constexpr auto kTick = std::chrono::milliseconds(300);
constexpr int kExitParentGone = 1;

}  // namespace

void Liveness::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Liveness::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Liveness::Run() {
  try {
    Tick();
  } catch (const std::exception& error) {  // no room for the message, or a lock that died with the parent
    stub_->GiveUp(error.what());
  }
}

void Liveness::Tick() {
  // The content of the health message means nothing; that it comes does. Kept until this thread ends.
  const Ref message = [this] {
    const NoteScope note(Origin::kStubHealth);
    return stub_->pool()->AllocateAs<wire::Message>();
  }();
  stub_->link().Answer(message.handle());
  wire::Control* control = stub_->link().control();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    try {
      SharedLock health(&control->stub_health_mutex);
      control->stub_health = true;
    } catch (const LockDied&) {  // the parent ended while it looked
    }
    if (stub_->link().parent_gone()) {
      stub_->LogToStderr(LogLevel::kInfo, __FILE_NAME__, __LINE__, "Non-graceful termination detected. ");
      stub_->pool()->Unlink();
      _exit(kExitParentGone);
    }
    lock.lock();
    changed_.wait_for(lock, kTick, [this] { return stopping_; });
  }
}

}  // namespace wb
