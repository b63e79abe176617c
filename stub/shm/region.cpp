#include "shm/region.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>

#include "protocol/error.hpp"

namespace wb {

namespace {

std::string Path(const std::string& name) { return name.empty() || name[0] != '/' ? "/" + name : name; }

std::size_t PageSize() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

std::size_t RoundUp(std::size_t value) { return (value + PageSize() - 1) / PageSize() * PageSize(); }

std::string FreeSpace(int fd) {
  struct statvfs info{};
  if (fstatvfs(fd, &info) != 0) return "unknown";
  return std::to_string(static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize);
}

[[noreturn]] void ThrowExhausted(int fd, std::size_t size, int error) {
  throw PoolExhausted("Failed to increase the shared memory pool size to " + std::to_string(size) +
                      " bytes, " + FreeSpace(fd) +
                      " bytes are free there. If you are running in a container, raise its shared " +
                      "memory with '--shm-size'. Error: " + std::strerror(error));
}

// Room enough that nobody can fill the file system in the moments it takes to take the pages.
bool HasAmpleRoom(int fd, std::size_t size) {
  struct statvfs info{};
  return fstatvfs(fd, &info) == 0 && static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize / 4 > size;
}

// Takes pages; gives 0 or an error number. posix_fallocate, not ftruncate: a full file system has to fail
// here and not as SIGBUS at the first write.
int Allocate(int fd, std::size_t from, std::size_t size) {
  int error = EINTR;
  while (error == EINTR) error = posix_fallocate(fd, static_cast<off_t>(from), static_cast<off_t>(size));
  return error;
}

}  // namespace

// Takes the pages from `from` to `to` of an object that is that long already.
class Region::Filling {
 public:
  Filling(int fd, std::size_t from, std::size_t to) : thread_([this, fd, from, to] { Run(fd, from, to); }) {}
  ~Filling() {
    stop_ = true;
    thread_.join();
  }
  int error() const { return error_; }

 private:
  void Run(int fd, std::size_t from, std::size_t to) {
    constexpr std::size_t kChunk = std::size_t{4} << 20;
    for (; from < to && !stop_; from += kChunk) {
      const int error = Allocate(fd, from, std::min(kChunk, to - from));
      if (error != 0) {
        error_ = error;
        return;
      }
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> error_{0};
  std::thread thread_;
};

Region Region::Create(const std::string& name, std::size_t size) {
  Unlink(name);
  Region region;
  region.name_ = name;
  region.fd_ = shm_open(Path(name).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (region.fd_ < 0)
    throw Error("cannot create shared-memory region '" + name + "': " + std::strerror(errno));
  try {
    region.Fill(size);
  } catch (...) {
    Unlink(name);
    throw;
  }
  return region;
}

void Region::Fill(std::size_t size) {
  constexpr std::size_t kAtOnce = std::size_t{1} << 20;
  const bool later = size > kAtOnce && HasAmpleRoom(fd_, size);
  int error = Allocate(fd_, 0, later ? kAtOnce : size);
  if (error == 0 && later && ftruncate(fd_, static_cast<off_t>(size)) != 0) error = errno;
  if (error != 0) ThrowExhausted(fd_, size, error);
  Reserve(size);
  MapTo(size);
  if (later) filling_ = std::make_unique<Filling>(fd_, kAtOnce, size);
}

Region Region::Open(const std::string& name) {
  Region region;
  region.name_ = name;
  region.fd_ = shm_open(Path(name).c_str(), O_RDWR | O_CLOEXEC, 0);
  if (region.fd_ < 0) throw Error("cannot open shared-memory region '" + name + "': " + std::strerror(errno));
  const std::size_t size = region.FileSize();
  region.Reserve(size);
  region.MapTo(size);
  return region;
}

bool Region::Unlink(const std::string& name) noexcept { return shm_unlink(Path(name).c_str()) == 0; }

Region::Region() = default;

Region::~Region() {
  filling_.reset();
  if (base_) munmap(base_, reserved_);
  if (fd_ >= 0) close(fd_);
}

Region::Region(Region&& other) noexcept { *this = std::move(other); }

Region& Region::operator=(Region&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(fd_, other.fd_);
  std::swap(base_, other.base_);
  std::swap(reserved_, other.reserved_);
  std::swap(filling_, other.filling_);
  mapped_ = other.mapped_.exchange(mapped_);
  return *this;
}

std::size_t Region::FileSize() const {
  struct stat info{};
  if (fstat(fd_, &info) != 0)
    throw Error(std::string("cannot stat shared-memory region: ") + std::strerror(errno));
  return static_cast<std::size_t>(info.st_size);
}

void Region::Reserve(std::size_t size) {
  struct statvfs info{};
  std::size_t wanted = std::size_t{64} << 30;
  if (fstatvfs(fd_, &info) == 0 && info.f_blocks > 0) {
    wanted = static_cast<std::size_t>(info.f_blocks) * info.f_frsize;
  }
  constexpr std::size_t kMost = std::size_t{1} << 40;
  wanted = RoundUp(std::max(std::min(wanted, kMost), size));
  // Address space may be limited (RLIMIT_AS): then take what can be had, growth beyond it is refused.
  for (;;) {
    void* address = mmap(nullptr, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address != MAP_FAILED) {
      base_ = static_cast<char*>(address);
      reserved_ = wanted;
      return;
    }
    if (wanted <= RoundUp(size))
      throw Error(std::string("cannot reserve address space: ") + std::strerror(errno));
    wanted = std::max(RoundUp(size), wanted / 2);
  }
}

void Region::MapTo(std::size_t new_size) {
  if (RoundUp(new_size) > reserved_)
    throw PoolExhausted("Failed to increase the shared memory pool size to " + std::to_string(new_size) +
                        " bytes: only " + std::to_string(reserved_) +
                        " bytes of address space are reserved for it");
  const std::size_t start = mapped_ / PageSize() * PageSize();
  const std::size_t length = RoundUp(new_size) - start;
  if (length > 0) {
    void* address = mmap(base_ + start, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_,
                         static_cast<off_t>(start));
    if (address == MAP_FAILED) {
      throw Error("cannot map shared-memory region '" + name_ + "': " + std::strerror(errno));
    }
  }
  mapped_ = new_size;
}

void Region::Grow(std::size_t new_size) {
  if (RoundUp(new_size) > reserved_) ThrowExhausted(fd_, new_size, ENOMEM);
  const int error = Allocate(fd_, 0, new_size);
  if (error != 0) ThrowExhausted(fd_, new_size, error);
  MapTo(new_size);
}

void Region::CheckFilled() const {
  if (filling_ && filling_->error() != 0) ThrowExhausted(fd_, mapped_, filling_->error());
}

void Region::Extend(std::size_t new_size) {
  if (new_size <= mapped_) return;
  if (new_size > FileSize()) throw RegionBroken("a shared-memory region claims to be larger than its file");
  MapTo(new_size);
}

}  // namespace wb
