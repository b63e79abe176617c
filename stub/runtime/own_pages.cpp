#include "runtime/own_pages.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14, not in every libc's headers
#endif

namespace wb {

namespace {

constexpr std::size_t kLargestRange = std::size_t{1} << 30;  // larger ones are reservations
constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;   // proc(5), pagemap

struct Range {
  std::uintptr_t start;
  std::uintptr_t end;
};

// What is mapped private and writable; stacks, too, of which hardly anything is present.
std::vector<Range> WritableRanges() {
  std::vector<Range> ranges;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> maps(std::fopen("/proc/self/maps", "re"),
                                                             &std::fclose);
  if (!maps) return ranges;
  char line[512];
  bool whole = true;  // a long path spreads over several reads
  while (std::fgets(line, sizeof(line), maps.get())) {
    unsigned long start = 0;
    unsigned long end = 0;
    char mode[5] = {};
    if (whole && std::sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3 && std::string(mode) == "rw-p") {
      ranges.push_back({start, end});
    }
    whole = std::string(line).back() == '\n';
  }
  return ranges;
}

class PageMap {
 public:
  PageMap() : file_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}
  ~PageMap() {
    if (file_ >= 0) close(file_);
  }
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  // One entry for each page, empty if it cannot be had.
  std::vector<std::uint64_t> Read(const Range& range, std::size_t page) const {
    std::vector<std::uint64_t> entries((range.end - range.start) / page);
    const auto bytes = static_cast<ssize_t>(entries.size() * sizeof(std::uint64_t));
    const auto offset = static_cast<off_t>(range.start / page * sizeof(std::uint64_t));
    if (file_ < 0 || pread(file_, entries.data(), static_cast<std::size_t>(bytes), offset) != bytes)
      return {};
    return entries;
  }

 private:
  int file_;
};

}  // namespace

std::size_t TakeOwnPages(std::size_t most) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const PageMap map;
  std::size_t taken = 0;
  for (const Range& range : WritableRanges()) {
    if (range.end - range.start > kLargestRange) continue;
    const auto entries = map.Read(range, page);
    const auto present = [](std::uint64_t entry) { return (entry & kPresent) != 0; };
    for (auto first = std::find_if(entries.begin(), entries.end(), present); first != entries.end();) {
      const auto last = std::find_if_not(first, entries.end(), present);
      const std::size_t bytes = static_cast<std::size_t>(last - first) * page;
      if (taken + bytes > most) return taken;
      const auto at = range.start + static_cast<std::size_t>(first - entries.begin()) * page;
      if (madvise(reinterpret_cast<void*>(at), bytes, MADV_POPULATE_WRITE) != 0) return taken;
      taken += bytes;
      first = std::find_if(last, entries.end(), present);
    }
  }
  return taken;
}

}  // namespace wb
