#include "host/peer.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "protocol/error.hpp"

namespace wb {

Peer::~Peer() {
  if (fd_ >= 0) close(fd_);
  if (stop_fd_ >= 0) close(stop_fd_);
}

void Peer::Attach(pid_t pid) {
  if (attached()) throw Error("a process is attached already");
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) {
    const int error = errno;
    const std::string who = "process " + std::to_string(pid);
    if (error == ESRCH) throw PeerGone(who + " does not exist");
    throw Error(who + " cannot be watched: " + std::strerror(error) +
                "\nhint: pidfd_open needs Linux 5.3 or newer");
  }
  stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd_ < 0) {
    const int error = errno;
    close(fd);
    throw Error(std::string("cannot make an event descriptor: ") + std::strerror(error));
  }
  fd_ = fd;
}

bool Peer::Gone() { return GoneWithin(std::chrono::milliseconds(0)); }

bool Peer::GoneWithin(std::chrono::milliseconds patience) {
  if (gone_) return true;
  if (!attached()) return false;
  pollfd watched{fd_, POLLIN, 0};
  if (poll(&watched, 1, static_cast<int>(patience.count())) > 0) gone_ = true;
  return gone_;
}

bool Peer::WaitForEnd() {
  pollfd watched[2] = {{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
  for (;;) {
    const int ready = poll(watched, 2, -1);
    if (ready < 0 && errno == EINTR) continue;
    if (watched[0].revents != 0) gone_ = true;
    return gone_;
  }
}

void Peer::Stop() noexcept {
  if (stop_fd_ < 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(stop_fd_, &one, sizeof(one));
}

}  // namespace wb
