// One POSIX shared-memory object, mapped once at an address that never moves.
//
// Address space for the largest possible size (that of the file system behind it) is reserved when the region
// is opened; growth is mapped behind what is mapped already. Pointers stay valid until the Region is
// destroyed.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

namespace wb {

class Region {
 public:
  // Mode 0600; replaces a stale object of that name. Throws PoolExhausted if the file system is full.
  // Where it is far from full, most pages are taken in the background: that costs milliseconds, in which the
  // owner has a process to start.
  static Region Create(const std::string& name, std::size_t size);
  static Region Open(const std::string& name);
  // True if there was something to remove.
  static bool Unlink(const std::string& name) noexcept;

  Region();
  ~Region();
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;

  char* base() const { return base_; }
  std::size_t size() const { return mapped_; }
  const std::string& name() const { return name_; }
  // Size of the object itself, which another process may have grown.
  std::size_t FileSize() const;
  // Makes the object larger and maps the rest. Throws PoolExhausted; nothing is changed then.
  void Grow(std::size_t new_size);
  // Throws PoolExhausted if the pages of a new region could not all be had after all.
  void CheckFilled() const;
  // Maps what another process has added, up to `new_size`.
  void Extend(std::size_t new_size);

 private:
  class Filling;

  // Gives a new object its size, and maps it.
  void Fill(std::size_t size);
  void Reserve(std::size_t size);
  void MapTo(std::size_t new_size);

  std::string name_;
  int fd_ = -1;
  char* base_ = nullptr;
  std::size_t reserved_ = 0;
  std::unique_ptr<Filling> filling_;
  std::atomic<std::size_t> mapped_{0};  // grows under the pool's lock, read without it
};

}  // namespace wb
