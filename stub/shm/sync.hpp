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

// Whether it is worth looking for a message a while before sleeping. Waking a processor that sleeps costs
// tens of microseconds, more than a small request itself; spinning where nothing comes, or where others want
// the processor, costs both. So it is tried only while it keeps succeeding, and the processor is offered to
// others meanwhile. For one waiting thread.
class Spin {
 public:
  Spin();
  // True: the semaphore was taken.
  bool TryWait(sem_t* semaphore);
  // After a wait that slept: short ones make spinning worth a try again.
  void Slept(std::chrono::nanoseconds duration);

 private:
  bool useful_;     // more than one processor may be used
  int credit_ = 0;  // above 0: spin
};

// False if the deadline passed.
bool WaitSemaphore(sem_t* semaphore, const Deadline& deadline, Spin* spin = nullptr);

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
