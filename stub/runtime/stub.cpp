#include "runtime/stub.hpp"

#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

namespace wb {

std::shared_ptr<ResponseStream> StreamTable::Get(std::uint64_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto& stream = streams_[id];
  if (!stream) stream = std::make_shared<ResponseStream>();
  return stream;
}

void StreamTable::Forget(std::uint64_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  streams_.erase(id);
}

void Stub::Log(LogLevel level, const std::string& file, int line, const std::string& message) {
  if (services_up() && jobs_.running()) {
    jobs_.Push([this, log = LogValue{level, file, line, message}] { link_.Log(log); });
    return;
  }
  LogToStderr(level, file, line, message);
}

void Stub::LogToStderr(LogLevel level, const std::string& file, int line, const std::string& message) {
  // Triton's own line format, so that both kinds of lines read alike (pb_utils.md §8.1).
  constexpr char kLetters[] = {'I', 'W', 'E', 'I'};
  timeval now{};
  gettimeofday(&now, nullptr);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  std::fprintf(stderr, "%c%02d%02d %02d:%02d:%02d.%06ld %d %s:%d]  %s\n", kLetters[static_cast<int>(level)],
               utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
               static_cast<long>(now.tv_usec), static_cast<int>(getpid()),
               file.substr(file.rfind('/') + 1).c_str(), line, message.c_str());
  std::fflush(stderr);
}

}  // namespace wb
