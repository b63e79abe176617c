// The stub's conversation with its parent: commands in, answers out, and the questions a stub may ask
// (protocol.md §4.4). No Python here: callers release the GIL first.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "codec/envelope.hpp"
#include "codec/response.hpp"
#include "codec/service.hpp"
#include "protocol/releases.hpp"
#include "runtime/options.hpp"
#include "shm/queue.hpp"

namespace wb {

// A refusal by the parent, in the parent's words.
class ServiceError : public Error {
 public:
  using Error::Error;
};

class ParentLink {
 public:
  ParentLink(const Options& options, const Release& release);

  const Release& release() const { return release_; }
  const std::shared_ptr<Pool>& pool() const { return pool_; }
  wire::Control* control() const { return control_; }

  // Main thread: commands and their answers.
  Envelope NextCommand();
  void Answer(Handle message) { parent_mq_.Push(message); }
  // "You may release what you sent me last": popped once after each answer.
  void AwaitRelease() { stub_mq_.Pop(Deadline::Never(), &spin_); }

  // p2s thread; 0 is the wake-up this stub sends itself to stop.
  Handle NextPush() { return *p2s_.Pop(); }
  void StopPushes() { p2s_.Push(0); }

  // Any thread.
  void Log(const LogValue& log);
  void Cleanup(Command command, std::uint64_t id);
  bool IsCancelled(std::int64_t factory, std::int64_t request);
  void CancelBls(std::uint64_t id);
  // `address` becomes the one the parent gave. Throws ServiceError.
  void MetricFamily(Command command, MetricFamilyValue* family);
  // New: sets address. Value: returns it. Throws ServiceError.
  double Metric(Command command, MetricValue* metric);
  // Readiness: the answer. Throws ServiceError.
  bool Control(Command command, const ModelLoaderValue& value);
  // Throws ServiceError if the parent refuses.
  void SendResponse(std::int64_t request, std::int64_t factory, Handle response, std::uint32_t flags);
  // BLS: the first (or only) response.
  ResponseValue Infer(Command command, const RequestValue& request);

  // Where a parent-death check belongs: true if the parent is gone.
  bool parent_gone() const { return parent_.gone(); }

 private:
  // A process that ended counts as gone even while whoever started it has not asked for its exit code, and
  // its number may be given to another one. Both need a pidfd; without one (Linux before 5.3) the number has
  // to do.
  class ParentWatch {
   public:
    explicit ParentWatch(pid_t pid);
    ~ParentWatch();
    ParentWatch(const ParentWatch&) = delete;
    ParentWatch& operator=(const ParentWatch&) = delete;
    bool gone() const;

   private:
    pid_t pid_;
    int fd_;
  };

  Queue& ServiceQueue() { return release_.services_on_s2p ? s2p_ : parent_mq_; }

  const Options& options_;
  const Release& release_;
  ParentWatch parent_;
  std::shared_ptr<Pool> pool_;
  wire::Control* control_ = nullptr;
  Queue stub_mq_;
  Spin spin_;  // of the main thread
  Queue parent_mq_;
  Queue s2p_;
  Queue p2s_;
};

}  // namespace wb
