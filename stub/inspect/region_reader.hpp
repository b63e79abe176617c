// Bytes of a region, read through its file and never through a mapping: a page that nobody has touched yet is
// not allocated by looking at it, and a file that shrinks meanwhile is a short read, not a SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace wb {

class RegionReader {
 public:
  // Any file; opened for reading only. Throws Error.
  explicit RegionReader(const std::string& path);
  ~RegionReader();
  RegionReader(const RegionReader&) = delete;
  RegionReader& operator=(const RegionReader&) = delete;

  std::uint64_t FileSize() const;
  // Whether the file still has a name: an unlinked region lives on for those who have it open.
  bool IsLinked() const;
  // Forgets what was read. Until then every page is read once, so that what is looked at stands still.
  void Refresh();
  // False if a byte of it is not there.
  bool Read(std::uint64_t offset, void* to, std::size_t size);
  template <typename T>
  bool Read(std::uint64_t offset, T* to) {
    return Read(offset, to, sizeof(T));
  }

 private:
  static constexpr std::size_t kPage = 4096;
  struct Page {
    std::size_t size = 0;
    char data[kPage];
  };

  const Page& PageAt(std::uint64_t number);

  int fd_ = -1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Page>> pages_;
  std::vector<std::unique_ptr<Page>> spare_;
};

}  // namespace wb
