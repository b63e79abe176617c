#include "shm/sync.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "protocol/error.hpp"

namespace wb {

namespace {

constexpr long kNanosecondsPerSecond = 1000000000L;

// A message that comes later than this is not worth a processor's time.
constexpr auto kSpinFor = std::chrono::microseconds(100);
// A sleep this short, its waking included, would have been a successful spin.
constexpr auto kWorthTrying = std::chrono::microseconds(200);
constexpr int kMostCredit = 8;
// Between two looks the processor is offered to whoever waits for one. If it stays away this long there is
// work for every processor: to go on would keep others from it, the one that is to answer among them.
constexpr auto kCrowded = std::chrono::microseconds(150);
constexpr int kDebtOfCrowds = -8;  // so many short sleeps before the next try
constexpr int kLooksPerTime = 16;  // between two offers

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

timespec Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now;
}

bool Before(const timespec& a, const timespec& b) {
  return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

#if defined(__SANITIZE_THREAD__)

// The sanitizer sees one process, and not what goes on in the other one between two threads of this one: what
// they hand over by way of it is ordered here. Nor does it know of the waits that take a clock.
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);

char other_process;

void TakeOver() { __tsan_acquire(&other_process); }
void HandOver() { __tsan_release(&other_process); }

template <typename Try>
bool Poll(const Deadline& deadline, const Try& attempt) {
  while (!attempt()) {
    if (deadline.passed()) return false;
    usleep(50);
  }
  return true;
}

int ClockLock(pthread_mutex_t* mutex, const Deadline& deadline) {
  int result = EBUSY;
  Poll(deadline, [&] { return (result = pthread_mutex_trylock(mutex)) != EBUSY; });
  return result == EBUSY ? ETIMEDOUT : result;
}

int ClockWait(sem_t* semaphore, const Deadline& deadline) {
  if (Poll(deadline, [&] { return sem_trywait(semaphore) == 0; })) return 0;
  errno = ETIMEDOUT;
  return -1;
}

#else

void TakeOver() {}
void HandOver() {}

int ClockLock(pthread_mutex_t* mutex, const Deadline& deadline) {
  return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, deadline.time());
}

int ClockWait(sem_t* semaphore, const Deadline& deadline) {
  return sem_clockwait(semaphore, CLOCK_MONOTONIC, deadline.time());
}

#endif

void CheckLock(int result) {
  if (result == EOWNERDEAD || result == ENOTRECOVERABLE) {
    throw LockDied("a process died while it held a lock of the shared-memory region");
  }
  throw Error(std::string("locking a shared-memory mutex failed: ") + std::strerror(result));
}

}  // namespace

Deadline Deadline::After(std::chrono::nanoseconds duration) {
  Deadline deadline;
  deadline.never_ = false;
  deadline.time_ = Now();
  const auto total = duration.count() < 0 ? 0 : duration.count();
  deadline.time_.tv_sec += static_cast<time_t>(total / kNanosecondsPerSecond);
  deadline.time_.tv_nsec += static_cast<long>(total % kNanosecondsPerSecond);
  if (deadline.time_.tv_nsec >= kNanosecondsPerSecond) {
    deadline.time_.tv_nsec -= kNanosecondsPerSecond;
    ++deadline.time_.tv_sec;
  }
  return deadline;
}

Deadline Deadline::AfterSeconds(double seconds) {
  constexpr double kForever = 1e9;  // beyond any session, and still a valid timespec
  if (!(seconds < kForever)) return Never();
  return After(std::chrono::nanoseconds(static_cast<long long>(std::llround(seconds * 1e9))));
}

bool Deadline::passed() const { return !never_ && !Before(Now(), time_); }

Deadline Deadline::Slice(std::chrono::nanoseconds duration) const {
  Deadline slice = After(duration);
  return never_ || Before(slice.time_, time_) ? slice : *this;
}

std::chrono::nanoseconds Deadline::Left(std::chrono::nanoseconds most) const {
  if (never_) return most;
  const timespec now = Now();
  const std::chrono::nanoseconds left(std::int64_t{time_.tv_sec - now.tv_sec} * kNanosecondsPerSecond +
                                      time_.tv_nsec - now.tv_nsec);
  return std::max(std::chrono::nanoseconds(0), std::min(left, most));
}

void InitMutex(pthread_mutex_t* mutex) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

void InitCondition(pthread_cond_t* condition) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

bool LockMutex(pthread_mutex_t* mutex, const Deadline& deadline) {
  const int result = deadline.is_never() ? pthread_mutex_lock(mutex) : ClockLock(mutex, deadline);
  if (result == 0) {
    TakeOver();
    return true;
  }
  if (result == ETIMEDOUT) return false;
  if (result == EOWNERDEAD)
    pthread_mutex_unlock(mutex);  // not made consistent: unusable for everybody from now on
  CheckLock(result);
  return false;
}

void UnlockMutex(pthread_mutex_t* mutex) {
  HandOver();
  pthread_mutex_unlock(mutex);
}

Spin::Spin() : useful_(false) {
  cpu_set_t allowed;
  useful_ = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

bool Spin::TryWait(sem_t* semaphore) {
  if (!useful_ || credit_ <= 0) return false;
  auto now = std::chrono::steady_clock::now();
  const auto end = now + kSpinFor;
  do {
    for (int i = 0; i < kLooksPerTime; ++i) {
      if (sem_trywait(semaphore) == 0) {
        credit_ = std::min(credit_ + 1, kMostCredit);
        return true;
      }
      Relax();
    }
    sched_yield();
    const auto before = std::exchange(now, std::chrono::steady_clock::now());
    if (now - before > kCrowded) {
      credit_ = kDebtOfCrowds;
      return false;
    }
  } while (now < end);
  --credit_;
  return false;
}

void Spin::Slept(std::chrono::nanoseconds duration) {
  if (duration < kWorthTrying) credit_ = std::min(credit_ + 1, kMostCredit);
}

bool WaitSemaphore(sem_t* semaphore, const Deadline& deadline, Spin* spin) {
  if (sem_trywait(semaphore) == 0 || (spin && spin->TryWait(semaphore))) {
    TakeOver();
    return true;
  }
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const int result = deadline.is_never() ? sem_wait(semaphore) : ClockWait(semaphore, deadline);
    if (result == 0) {
      TakeOver();
      if (spin) spin->Slept(std::chrono::steady_clock::now() - start);
      return true;
    }
    if (errno == ETIMEDOUT) return false;
    if (errno == EINTR) continue;
    throw Error(std::string("waiting on a shared-memory semaphore failed: ") + std::strerror(errno));
  }
}

bool WaitCondition(pthread_cond_t* condition, pthread_mutex_t* mutex, const Deadline& deadline) {
  const int result = deadline.is_never()
                         ? pthread_cond_wait(condition, mutex)
                         : pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, deadline.time());
  if (result == 0) {
    TakeOver();
    return true;
  }
  if (result == ETIMEDOUT) return false;
  if (result == EOWNERDEAD) pthread_mutex_unlock(mutex);
  CheckLock(result);
  return false;
}

}  // namespace wb
