// Counted objects in a region: allocate, load, release, grow (protocol.md §2).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "protocol/layout.hpp"
#include "shm/forks.hpp"
#include "shm/region.hpp"

namespace wb {

class Pool;

// One counted reference to one object. Move-only; gives the reference back when destroyed, in the process
// that took it.
class Ref {
 public:
  Ref() = default;
  Ref(Pool* pool, Handle handle) : pool_(pool), handle_(handle), forks_(Forks()) {}
  ~Ref() { Reset(); }
  Ref(Ref&& other) noexcept { *this = std::move(other); }
  Ref& operator=(Ref&& other) noexcept {
    if (this != &other) {
      Reset();
      pool_ = std::exchange(other.pool_, nullptr);
      handle_ = other.handle_;
      forks_ = other.forks_;
    }
    return *this;
  }

  explicit operator bool() const { return pool_ != nullptr; }
  Handle handle() const { return handle_; }
  char* data() const;
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data());
  }
  void Reset() noexcept;

 private:
  Pool* pool_ = nullptr;
  Handle handle_ = 0;
  unsigned forks_ = 0;
};

// What one side holds while a message is under way.
using Refs = std::vector<Ref>;

// References that are given back together, under one lock, at the end of a scope.
class HeldRefs {
 public:
  explicit HeldRefs(Pool* pool) : pool_(pool) {}
  ~HeldRefs() { Release(); }
  HeldRefs(const HeldRefs&) = delete;
  HeldRefs& operator=(const HeldRefs&) = delete;
  Refs* get() { return &refs_; }
  void Release() noexcept;

 private:
  Pool* pool_;
  Refs refs_;
};

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // Throws PoolExhausted if the file system cannot hold `size` bytes.
  static std::shared_ptr<Pool> Create(const std::string& name, std::size_t size, std::size_t growth);
  // Finds what the creator made and refuses loudly where it is missing (another layout of Boost's segment).
  static std::shared_ptr<Pool> Open(const std::string& name, std::size_t growth);

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  // `size` payload bytes, count 1, content undefined. `aligned`: the block starts on a 32-byte boundary.
  // Throws PoolExhausted, RegionBroken.
  Ref Allocate(std::size_t size, bool aligned = false);
  template <typename T>
  Ref AllocateAs() {
    Ref ref = Allocate(sizeof(T));
    Clear(ref.data(), sizeof(T));
    return ref;
  }
  // Takes one more reference. Throws RegionBroken if the handle cannot be an object.
  Ref Load(Handle handle);
  // Payload of an object somebody else is known to hold; at least `size` bytes lie inside the region.
  char* At(Handle handle, std::size_t size);
  template <typename T>
  T* At(Handle handle) {
    return reinterpret_cast<T*>(At(handle, sizeof(T)));
  }
  std::uint32_t Count(Handle handle);

  std::size_t FreeBytes();
  std::size_t Capacity();
  // The most that was in use at any moment this side looked: it looks whenever it takes the lock.
  std::size_t Peak() const { return peak_; }
  // How often the region was seen to have grown, whichever side did it.
  std::size_t Growths() const { return growths_; }
  // Objects that this side keeps beyond the conversation, for the inspector: a result somebody still looks
  // at.
  void Hold(Handle handle);
  void LetGo(Handle handle) noexcept;
  std::vector<Handle> Held();
  const std::string& name() const { return region_.name(); }
  // In a forked child this is its parent's, and stays.
  bool inherited() const { return forks_ != Forks(); }
  // True if there was something to remove.
  bool Unlink() noexcept { return !inherited() && Region::Unlink(region_.name()); }
  // After this no lock is taken any more and references are dropped without a trace: the other side died
  // inside.
  void Abandon() noexcept { broken_ = true; }
  bool broken() const { return broken_; }

  // Holds the region's lock over several operations; nests.
  class Guard {
   public:
    explicit Guard(Pool* pool);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Pool* pool_;
    bool owner_;
  };

 private:
  friend class Ref;
  struct Segment;

  Pool(Region region, std::size_t growth);
  static void Clear(void* data, std::size_t size);
  void Follow();
  void Observe();
  char* Address(Handle handle) const { return region_.base() + handle; }
  bool IsInUse(Handle handle) const;
  void Release(Handle handle) noexcept;

  const unsigned forks_ = Forks();
  Region region_;
  std::size_t growth_;
  std::atomic<std::size_t> peak_{0};     // both change under the region's lock
  std::atomic<std::size_t> growths_{0};  // and are read without it
  std::unique_ptr<Segment> segment_;
  pthread_mutex_t* mutex_ = nullptr;
  std::uint64_t* total_size_ = nullptr;
  std::atomic<pid_t> lock_owner_{0};
  std::atomic<bool> broken_{false};
  std::mutex held_mutex_;
  std::unordered_multiset<Handle> held_;
};

inline char* Ref::data() const { return pool_->Address(handle_) + wire::kOwnershipHeader; }
inline void Ref::Reset() noexcept {
  if (pool_ && forks_ == Forks()) pool_->Release(handle_);
  pool_ = nullptr;
}

}  // namespace wb
