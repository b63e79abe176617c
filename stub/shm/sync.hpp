// Process-shared mutexes, conditions and semaphores, initialised as Boost.Interprocess does in upstream's
// binaries (process-shared, robust mutexes), driven directly so that waits use the monotonic clock, retry
// after signals, and tell "the owner died" from "too late".
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include <chrono>

namespace wb {

// A point of the monotonic clock, or never.
class Deadline {
 public:
  static Deadline Never() { return Deadline(); }
  static Deadline After(std::chrono::nanoseconds duration);
  static Deadline AfterSeconds(double seconds);
  bool is_never() const { return never_; }
  bool passed() const;
  // The earlier of this and `duration` from now: one slice of a longer wait.
  Deadline Slice(std::chrono::nanoseconds duration) const;
  // What is left until then, at most `most`; never negative.
  std::chrono::nanoseconds Left(std::chrono::nanoseconds most) const;
  const timespec* time() const { return &time_; }

 private:
  bool never_ = true;
  timespec time_{};
};

void InitMutex(pthread_mutex_t* mutex);
void InitCondition(pthread_cond_t* condition);

// False if the deadline passed. Throws RegionBroken if the owner died holding it.
bool LockMutex(pthread_mutex_t* mutex, const Deadline& deadline);
void UnlockMutex(pthread_mutex_t* mutex);

// False if the deadline passed.
bool WaitSemaphore(sem_t* semaphore, const Deadline& deadline);

// One wait, mutex held; false if the deadline passed. May wake spuriously.
bool WaitCondition(pthread_cond_t* condition, pthread_mutex_t* mutex, const Deadline& deadline);

// Scoped lock without a deadline of its own, for mutexes that are held only for moments.
class SharedLock {
 public:
  explicit SharedLock(pthread_mutex_t* mutex) : mutex_(mutex) { LockMutex(mutex, Deadline::Never()); }
  ~SharedLock() { Unlock(); }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;
  void Unlock() {
    if (mutex_) UnlockMutex(mutex_);
    mutex_ = nullptr;
  }

 private:
  pthread_mutex_t* mutex_;
};

}  // namespace wb
