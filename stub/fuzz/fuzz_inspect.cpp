// The inspector on any file: an error or a result.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "inspect/classify.hpp"
#include "protocol/error.hpp"
#include "shm/queue.hpp"

namespace {

// A real region to begin with, into which the input is written: made by the host's own code, small.
struct Image {
  int fd = -1;
  std::string path;
  std::string region;

  Image() {
    const std::string name = "wb_fuzz_" + std::to_string(getpid());
    const auto pool = wb::Pool::Create(name, 1 << 14, 1 << 14);
    const wb::Ref control = pool->AllocateAs<wb::wire::Control>();
    const wb::Queue queue = wb::Queue::Create(pool.get(), 8);
    control.as<wb::wire::Control>()->stub_mq = queue.handle();
    region.assign(control.data() - wb::wire::kOwnershipHeader - control.handle(), 1 << 14);
    pool->Unlink();
    fd = memfd_create("fuzz", 0);
    path = "/proc/self/fd/" + std::to_string(fd);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Image* image = new Image;
  std::string bytes = image->region;
  std::size_t at = 0;
  while (at + 3 < size) {  // where (2 bytes), how many (1), and those
    const std::size_t offset = (data[at] | data[at + 1] << 8) % bytes.size();
    std::size_t count = data[at + 2] % 8 + 1;
    at += 3;
    if (count > size - at) count = size - at;
    if (count > bytes.size() - offset) count = bytes.size() - offset;
    std::memcpy(&bytes[offset], data + at, count);
    at += count;
  }
  if (size > 0 && data[0] == 0) bytes.resize(bytes.size() * data[size - 1] / 256);
  if (ftruncate(image->fd, 0) != 0) return 0;
  if (pwrite(image->fd, bytes.data(), bytes.size(), 0) < 0) return 0;
  try {
    wb::RegionReader reader(image->path);
    const wb::WalkResult result = wb::WalkRegion(&reader, 0.0);
    if (result.problem.empty()) wb::Classify(&reader, result.walk);
  } catch (const wb::Error&) {
  }
  return 0;
}
