#include "shm/pool.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/version.hpp>
#include <cstring>
#include <utility>

#include "protocol/error.hpp"
#include "protocol/segment.hpp"
#include "shm/note.hpp"
#include "shm/sync.hpp"

// From Boost 1.87 on named objects have another header unless this macro is 1, and a real region's objects
// are not found: no error, just two different mutexes (protocol.md §2.2).
#ifdef BOOST_INTERPROCESS_SEGMENT_MANAGER_ABI
static_assert(BOOST_VERSION < 108700 || BOOST_INTERPROCESS_SEGMENT_MANAGER_ABI == 1,
              "define BOOST_INTERPROCESS_SEGMENT_MANAGER_ABI=1");
#else
static_assert(BOOST_VERSION < 108700, "define BOOST_INTERPROCESS_SEGMENT_MANAGER_ABI=1");
#endif

namespace wb {

namespace bi = boost::interprocess;

namespace {

constexpr const char* kMutexName = "shm_mutex";
constexpr const char* kSizeName = "total size";
// Held for microseconds by a healthy process; a process stopped inside (SIGSTOP) must not stop the other for
// ever.
constexpr auto kLockPatience = std::chrono::seconds(10);

// Of every block, Boost's and so every handle; a broken one must not make us read an object that lies askew.
constexpr std::size_t kBlockAlignment = 8;

pid_t ThreadId() {
  static thread_local const auto id = static_cast<pid_t>(syscall(SYS_gettid));
  return id;
}

}  // namespace

struct Pool::Segment {
  bi::managed_external_buffer buffer;
};

Pool::Guard::Guard(Pool* pool) : pool_(pool), owner_(pool->lock_owner_.load() != ThreadId()) {
  if (!owner_) return;
  if (pool_->broken_) throw LockDied("the shared-memory region '" + pool_->name() + "' was given up");
  try {
    if (!LockMutex(pool_->mutex_, Deadline::After(kLockPatience))) {
      throw TimedOut("the lock of shared-memory region '" + pool_->name() + "' stayed taken for 10 s");
    }
  } catch (const RegionBroken&) {
    pool_->broken_ = true;
    throw;
  }
  pool_->lock_owner_ = ThreadId();
  try {
    pool_->Follow();
  } catch (...) {
    pool_->lock_owner_ = 0;
    UnlockMutex(pool_->mutex_);
    throw;
  }
}

Pool::Guard::~Guard() {
  if (!owner_) return;
  pool_->lock_owner_ = 0;
  UnlockMutex(pool_->mutex_);
}

Pool::Pool(Region region, std::size_t growth)
    : region_(std::move(region)), growth_(growth ? growth : 1), segment_(std::make_unique<Segment>()) {}

Pool::~Pool() = default;

std::shared_ptr<Pool> Pool::Create(const std::string& name, std::size_t size, std::size_t growth) {
  std::shared_ptr<Pool> pool(new Pool(Region::Create(name, size), growth));
  try {
    bi::managed_external_buffer buffer(bi::create_only, pool->region_.base(), size);
    pool->segment_->buffer = std::move(buffer);
    pool->mutex_ = pool->segment_->buffer.construct<pthread_mutex_t>(kMutexName)();
    pool->total_size_ = pool->segment_->buffer.construct<std::uint64_t>(kSizeName)();
  } catch (const std::exception& error) {
    pool->Unlink();
    throw Error("cannot lay out shared-memory region '" + name + "': " + error.what());
  }
  InitMutex(pool->mutex_);
  *pool->total_size_ = size;
  return pool;
}

std::shared_ptr<Pool> Pool::Open(const std::string& name, std::size_t growth) {
  std::shared_ptr<Pool> pool(new Pool(Region::Open(name), growth));
  bi::managed_external_buffer buffer(bi::open_only, pool->region_.base(), pool->region_.size());
  pool->segment_->buffer = std::move(buffer);
  pool->mutex_ = pool->segment_->buffer.find<pthread_mutex_t>(kMutexName).first;
  pool->total_size_ = pool->segment_->buffer.find<std::uint64_t>(kSizeName).first;
  if (!pool->mutex_ || !pool->total_size_) {
    throw RegionBroken("shared-memory region '" + name + "' has no '" + kMutexName + "' or '" + kSizeName +
                       "': it was not made by a Triton Python backend, or with another segment layout");
  }
  return pool;
}

void Pool::Clear(void* data, std::size_t size) { std::memset(data, 0, size); }

void Pool::Follow() {
  const std::uint64_t total = *static_cast<volatile std::uint64_t*>(total_size_);
  if (total > region_.size()) {
    region_.Extend(total);
    ++growths_;
  }
  region_.CheckFilled();
  Observe();
}

void Pool::Observe() {
  const std::size_t used = region_.size() - segment_->buffer.get_free_memory();
  if (used > peak_) peak_ = used;
}

Ref Pool::Allocate(std::size_t size, bool aligned) {
  const std::size_t raw = size + wire::kOwnershipHeader;
  constexpr std::size_t kAlignment = 32;
  Guard guard(this);
  auto& buffer = segment_->buffer;
  const auto attempt = [&]() -> void* {
    return aligned ? buffer.allocate_aligned(raw, kAlignment, std::nothrow)
                   : buffer.allocate(raw, std::nothrow);
  };
  void* block = attempt();
  if (!block) {
    const std::size_t added = growth_ * (raw / growth_ + 1);
    const std::size_t total = region_.size() + added;
    region_.Grow(total);
    buffer.get_segment_manager()->grow(added);
    *total_size_ = total;
    ++growths_;
    block = attempt();
    if (!block) {
      throw PoolExhausted("Failed to increase the shared memory pool size: no block of " +
                          std::to_string(raw) + " bytes after growing to " + std::to_string(total) +
                          " bytes");
    }
  }
  auto* ownership = static_cast<wire::Ownership*>(block);
  ownership->count = 1;
  WriteNote(ownership, NoteScope::Current());
  Observe();
  return Ref(this, static_cast<char*>(block) - region_.base());
}

char* Pool::At(Handle handle, std::size_t size) {
  const auto start = static_cast<std::uint64_t>(handle);
  const auto fits = [&] {
    const std::uint64_t limit = region_.size();
    return handle > 0 && start % kBlockAlignment == 0 && start < limit && size <= limit - start &&
           wire::kOwnershipHeader <= limit - start - size;
  };
  if (!fits()) {
    Guard guard(this);  // the other side may have grown the region a moment ago
    if (!fits()) {
      throw RegionBroken("handle " + std::to_string(handle) + " (" + std::to_string(size) +
                         " bytes) lies outside of shared-memory region '" + name() + "'");
    }
  }
  return Address(handle) + wire::kOwnershipHeader;
}

// Whether the allocator's own marks say that a block begins there. Giving back what is no block would have
// its code follow whatever lies there as pointers.
bool Pool::IsInUse(Handle handle) const {
  using wire::kUnit;
  constexpr std::uint64_t kHeader = sizeof(wire::BlockHeader);
  const auto mark = [this](std::uint64_t block) {
    return *reinterpret_cast<const std::uint64_t*>(Address(static_cast<Handle>(block)) +
                                                   offsetof(wire::BlockHeader, units_and_flags));
  };
  const auto start = static_cast<std::uint64_t>(handle);
  if (start % kUnit != 0 || start < kHeader) return false;
  const std::uint64_t own = mark(start - kHeader);
  const std::uint64_t units = own & wire::kUnitsMask;
  const std::uint64_t limit = region_.size();
  if (!(own & wire::kBlockAllocated) || units < 2 || units > limit / kUnit) return false;
  const std::uint64_t next = start - kHeader + units * kUnit;
  if (next > limit - kHeader || !(mark(next) & wire::kPreviousAllocated)) return false;
  return reinterpret_cast<const wire::Ownership*>(Address(handle))->count > 0;
}

Ref Pool::Load(Handle handle) {
  Guard guard(this);
  At(handle, 0);
  if (!IsInUse(handle)) {
    throw RegionBroken("handle " + std::to_string(handle) + " of shared-memory region '" + name() +
                       "' is not that of an object in use");
  }
  ++reinterpret_cast<wire::Ownership*>(Address(handle))->count;
  return Ref(this, handle);
}

std::uint32_t Pool::Count(Handle handle) {
  Guard guard(this);
  At(handle, 0);
  return reinterpret_cast<wire::Ownership*>(Address(handle))->count;
}

void Pool::Release(Handle handle) noexcept {
  if (broken_) return;
  try {
    Guard guard(this);
    auto* ownership = reinterpret_cast<wire::Ownership*>(Address(handle));
    if (IsInUse(handle) && --ownership->count == 0) {
      EraseNote(ownership);
      segment_->buffer.deallocate(ownership);
    }
  } catch (const std::exception&) {
    broken_ = true;  // nothing can be given back to a region whose lock died
  }
}

void HeldRefs::Release() noexcept {
  if (refs_.empty()) return;
  try {
    Pool::Guard guard(pool_);
    refs_.clear();
  } catch (const std::exception&) {
    pool_->Abandon();
    refs_.clear();
  }
}

void Pool::Hold(Handle handle) {
  const std::lock_guard lock(held_mutex_);
  held_.insert(handle);
}

void Pool::LetGo(Handle handle) noexcept {
  if (inherited()) return;  // whoever had the mutex when the process was forked has it for ever
  const std::lock_guard lock(held_mutex_);
  const auto found = held_.find(handle);
  if (found != held_.end()) held_.erase(found);
}

std::vector<Handle> Pool::Held() {
  const std::lock_guard lock(held_mutex_);
  return {held_.begin(), held_.end()};
}

std::size_t Pool::FreeBytes() {
  Guard guard(this);
  return segment_->buffer.get_free_memory();
}

std::size_t Pool::Capacity() {
  Guard guard(this);
  return region_.size();
}

}  // namespace wb
