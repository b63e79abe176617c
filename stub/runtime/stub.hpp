// Everything one stub process has, in one place: the wiring that the parts are handed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/call_trace.hpp"
#include "runtime/job_queue.hpp"
#include "runtime/options.hpp"
#include "runtime/parent_link.hpp"

namespace wb {

// What the model may do at this moment.
enum class Phase {
  kLoading,     // import, constructor, auto-complete: no services
  kInitialize,  // services are up, BLS is not
  kServing,
  kFinalizing,  // logging and metrics still work, BLS does not
  kOver,
};

// Responses of one streamed BLS call, in order of arrival. Any thread may put, any thread may take.
class ResponseStream {
 public:
  void Put(ResponseValue response);
  // Waits for the next one; nothing once the last was taken. Without the GIL.
  std::optional<ResponseValue> Take();

  // Under the table's lock.
  bool attached = false;
  bool finished = false;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ResponseValue> arrived_;
  bool over_ = false;  // the last was taken
};

// Streams by the id the parent gave them. Either side of a stream may come first: the calling thread with the
// first response, or the push thread with the second. And an id is an address in the parent, which it may
// give to a new stream as soon as the old one's last response was taken: so a stream is over for this table
// when that response has come, not when the model has read it.
class StreamTable {
 public:
  // The stream a call has just got its first response of.
  std::shared_ptr<ResponseStream> Attach(std::uint64_t id);
  // The next response of a stream, in the order of the parent's messages.
  void Deliver(ResponseValue response);

 private:
  std::mutex mutex_;
  std::map<std::uint64_t, std::deque<std::shared_ptr<ResponseStream>>> streams_;
};

class Stub {
 public:
  Stub(Options options, const Release& release)
      : options_(std::move(options)), release_(release), link_(options_, release_) {}

  const Options& options() const { return options_; }
  const Release& release() const { return release_; }
  ParentLink& link() { return link_; }
  JobQueue& jobs() { return jobs_; }
  StreamTable& streams() { return streams_; }
  CallTrace& trace() { return trace_; }
  Pool* pool() { return link_.pool().get(); }
  bool decoupled() { return link_.control()->decoupled; }

  Phase phase() const { return phase_; }
  void set_phase(Phase phase) { phase_ = phase; }
  // Log lines, metrics, model control and response senders reach the parent.
  bool services_up() const {
    const Phase phase = phase_;
    return phase == Phase::kInitialize || phase == Phase::kServing || phase == Phase::kFinalizing;
  }

  // To the parent in the background, or to stderr while (or where) there is nobody to tell.
  void Log(LogLevel level, const std::string& file, int line, const std::string& message);
  void LogToStderr(LogLevel level, const std::string& file, int line, const std::string& message);

  // Ends the process at once, from whichever thread: what others wait for will never come.
  [[noreturn]] void GiveUp(const std::string& why);

 private:
  Options options_;
  const Release& release_;
  ParentLink link_;
  JobQueue jobs_;
  StreamTable streams_;
  CallTrace trace_;
  std::atomic<Phase> phase_{Phase::kLoading};
};

// Log from the stub's own sources.
#define WB_STUB_LOG(stub, level, message) (stub).Log(level, __FILE_NAME__, __LINE__, message)

}  // namespace wb
