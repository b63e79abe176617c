#include "inspect/region_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "protocol/error.hpp"

namespace wb {

RegionReader::RegionReader(const std::string& path) {
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) throw Error("cannot read shared-memory region '" + path + "': " + std::strerror(errno));
}

RegionReader::~RegionReader() { close(fd_); }

std::uint64_t RegionReader::FileSize() const {
  struct stat info{};
  return fstat(fd_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

bool RegionReader::IsLinked() const {
  struct stat info{};
  return fstat(fd_, &info) == 0 && info.st_nlink > 0;
}

void RegionReader::Refresh() {
  constexpr std::size_t kSpare = 256;
  for (auto& [number, page] : pages_) {
    if (spare_.size() < kSpare) spare_.push_back(std::move(page));
  }
  pages_.clear();
}

const RegionReader::Page& RegionReader::PageAt(std::uint64_t number) {
  std::unique_ptr<Page>& page = pages_[number];
  if (page) return *page;
  if (spare_.empty()) {
    page = std::make_unique<Page>();
  } else {
    page = std::move(spare_.back());
    spare_.pop_back();
  }
  const ssize_t got = pread(fd_, page->data, kPage, static_cast<off_t>(number * kPage));
  page->size = got > 0 ? static_cast<std::size_t>(got) : 0;
  return *page;
}

bool RegionReader::Read(std::uint64_t offset, void* to, std::size_t size) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  if (offset > kMost || size > kMost) return false;
  auto* out = static_cast<char*>(to);
  while (size > 0) {
    const Page& page = PageAt(offset / kPage);
    const std::size_t start = offset % kPage;
    if (start >= page.size) return false;
    const std::size_t part = std::min(size, page.size - start);
    std::memcpy(out, page.data + start, part);
    out += part;
    offset += part;
    size -= part;
  }
  return true;
}

}  // namespace wb
