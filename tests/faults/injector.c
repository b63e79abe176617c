/* Preloaded into a process that takes part in a region (ours, NVIDIA's, a kernel with our host): counts its steps
 * there, and at a chosen one kills or stops the process. A step is the moment before and the moment after each use
 * of a lock, a semaphore or a condition that lies in shared memory, so every half-sent message and every lock held
 * has a number. The control block is a file that the test maps too: it reads the count and arms the next fault.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
  _Atomic uint64_t steps;  /* so far, of all processes with this file */
  _Atomic uint64_t at;     /* the step at which it happens, 0: never */
  _Atomic uint32_t signal; /* what the process gets then */
  _Atomic uint32_t fired;  /* process id of whoever got it */
  _Atomic uint32_t clock;  /* 1: the wall clock is an hour ahead and an hour behind in turn */
};

static struct control* control;

enum { kMost = 4096 };
static struct {
  _Atomic uintptr_t begin, end;
} shared[kMost];
static _Atomic unsigned used;

#define REAL(name) \
  static __typeof__(name)* real; \
  if (!real) real = (__typeof__(name)*)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void Start(void) {
  const char* path = getenv("WORKBENCH_FAULT_CONTROL");
  if (!path) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* at = (void*)syscall(SYS_mmap, 0, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at != MAP_FAILED) control = at;
}

static int IsShared(const void* pointer) {
  const uintptr_t at = (uintptr_t)pointer;
  unsigned count = used;
  if (count > kMost) count = kMost;
  for (unsigned i = 0; i < count; ++i) {
    if (at >= shared[i].begin && at < shared[i].end) return 1;
  }
  return 0;
}

static void Step(const void* pointer) {
  if (!control || !IsShared(pointer)) return;
  const uint64_t number = ++control->steps;
  if (control->at == 0 || number < control->at) return;
  uint32_t nobody = 0;
  if (!atomic_compare_exchange_strong(&control->fired, &nobody, (uint32_t)getpid())) return;
  control->at = 0;
  kill(getpid(), (int)control->signal);
  if (control->signal == SIGKILL) {
    for (;;) pause();
  }
}

static void Note(void* at, size_t length, int flags, int fd) {
  if (!control || at == MAP_FAILED || fd < 0 || !(flags & MAP_SHARED)) return;
  const unsigned slot = used++;
  if (slot >= kMost) return;
  shared[slot].end = (uintptr_t)at + length;
  shared[slot].begin = (uintptr_t)at;
}

void* mmap(void* where, size_t length, int protection, int flags, int fd, off_t offset) {
  void* at = (void*)syscall(SYS_mmap, where, length, protection, flags, fd, offset);
  Note(at, length, flags, fd);
  return at;
}

void* mmap64(void* where, size_t length, int protection, int flags, int fd, off64_t offset) {
  return mmap(where, length, protection, flags, fd, offset);
}

#define WRAP(name, parameters, values, object) \
  int name parameters { \
    REAL(name); \
    Step(object); \
    const int result = real values; \
    Step(object); \
    return result; \
  }

WRAP(pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex), mutex)
WRAP(pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex), mutex)
WRAP(pthread_mutex_timedlock, (pthread_mutex_t * mutex, const struct timespec* until), (mutex, until), mutex)
WRAP(pthread_mutex_clocklock, (pthread_mutex_t * mutex, clockid_t clock, const struct timespec* until),
     (mutex, clock, until), mutex)
WRAP(pthread_mutex_unlock, (pthread_mutex_t * mutex), (mutex), mutex)
WRAP(sem_post, (sem_t * semaphore), (semaphore), semaphore)
WRAP(sem_wait, (sem_t * semaphore), (semaphore), semaphore)
WRAP(sem_timedwait, (sem_t * semaphore, const struct timespec* until), (semaphore, until), semaphore)
WRAP(sem_clockwait, (sem_t * semaphore, clockid_t clock, const struct timespec* until), (semaphore, clock, until),
     semaphore)
WRAP(pthread_cond_signal, (pthread_cond_t * condition), (condition), condition)
WRAP(pthread_cond_broadcast, (pthread_cond_t * condition), (condition), condition)

/* The wall clock, when it jumps: an hour forth and back at every look. */
static time_t Jump(void) {
  static _Atomic unsigned looks;
  if (!control || !control->clock) return 0;
  return (looks++ & 1) ? -3600 : 3600;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  REAL(clock_gettime);
  const int result = real(clock, now);
  if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += Jump();
  return result;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec time;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &time);
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}
