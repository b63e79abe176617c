#include "runtime/stub.hpp"

#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

namespace wb {

void ResponseStream::Put(ResponseValue response) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    arrived_.push_back(std::move(response));
  }
  changed_.notify_all();
}

std::optional<ResponseValue> ResponseStream::Take() {
  std::optional<ResponseValue> response;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return over_ || !arrived_.empty(); });
    if (arrived_.empty()) return std::nullopt;
    response = std::move(arrived_.front());
    arrived_.pop_front();
    over_ = response->is_last;
  }
  if (response->is_last) changed_.notify_all();
  return response;
}

std::shared_ptr<ResponseStream> StreamTable::Attach(std::uint64_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto& streams = streams_[id];
  for (auto stream = streams.begin(); stream != streams.end(); ++stream) {
    if ((*stream)->attached) continue;
    const auto found = *stream;
    found->attached = true;
    if (found->finished) streams.erase(stream);
    if (streams.empty()) streams_.erase(id);
    return found;
  }
  streams.push_back(std::make_shared<ResponseStream>());
  streams.back()->attached = true;
  return streams.back();
}

void StreamTable::Deliver(ResponseValue response) {
  std::shared_ptr<ResponseStream> stream;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const std::uint64_t id = response.id;
    auto& streams = streams_[id];
    if (streams.empty() || streams.back()->finished) streams.push_back(std::make_shared<ResponseStream>());
    stream = streams.back();
    if (response.is_last) {
      stream->finished = true;
      if (stream->attached) streams.pop_back();
      if (streams.empty()) streams_.erase(id);
    }
  }
  stream->Put(std::move(response));
}

void Stub::Log(LogLevel level, const std::string& file, int line, const std::string& message) {
  if (services_up() && jobs_.running()) {
    jobs_.Push([this, log = LogValue{level, file, line, message}] { link_.Log(log); });
    return;
  }
  LogToStderr(level, file, line, message);
}

void Stub::GiveUp(const std::string& why) {
  constexpr int kExitError = 1;
  std::fprintf(stderr, "triton_python_backend_stub: cannot go on: %s\n", why.c_str());
  if (link_.parent_gone()) pool()->Unlink();  // nobody else will
  _exit(kExitError);
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
