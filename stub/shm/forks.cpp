#include "shm/forks.hpp"

#include <pthread.h>

#include <atomic>

namespace wb {

namespace {

std::atomic<unsigned> forks{0};

// As soon as this code is loaded: nothing of it can have been used before.
[[maybe_unused]] const int counting = pthread_atfork(nullptr, nullptr, [] { ++forks; });

}  // namespace

unsigned Forks() { return forks.load(std::memory_order_relaxed); }

}  // namespace wb
