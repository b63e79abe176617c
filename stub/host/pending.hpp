// One inference request under way: what to send, and the responses collected for it from whichever message
// brings them. Any thread may deliver, any thread may take.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "codec/values.hpp"
#include "host/tap.hpp"
#include "shm/sync.hpp"

namespace wb {

// Why a conversation ended.
struct Fault {
  enum class Kind { kNotHealthy, kProtocol };
  Kind kind = Kind::kNotHealthy;
  std::string text;

  [[noreturn]] void Throw() const;
};

// Called several times a second by waits, on the waiting thread; throws to end the wait.
using Interrupt = std::function<void()>;

class Pending {
 public:
  // `parent`: the span on whose behalf it is made, 0 for nobody's.
  explicit Pending(RequestValue value, std::uint64_t parent = 0)
      : value_(std::move(value)), span_(NextSpan()), parent_(parent), made_(MonotonicNow()) {}

  // What to send. The bytes of its inputs belong to whoever calls Channel::Execute.
  const RequestValue& value() const { return value_; }
  std::uint64_t span() const { return span_; }

  // Throws Error unless the request is new or was given back. The numbers are what the stub will call it.
  // From now on the tap, if any, hears of it.
  void Open(std::int64_t address, std::int64_t factory, std::shared_ptr<Tap> tap, std::uint64_t batch);
  // Nothing was sent after all.
  void Unsend();
  // The model wants it again later.
  void Reschedule();
  // After the final response, later ones are ignored: a second answer cannot be un-given.
  void Deliver(ResponseValue response, bool final);
  // Complete without a further response.
  void Finish();
  // The model let go of its response sender: abandoned, if it is open. While the batch is being executed that
  // is not known yet (its answer, on another queue, may still bring an error or give the request back): false
  // then.
  bool Drop();
  // The batch was answered, and what it said about this request was delivered. True if it was dropped
  // meanwhile.
  bool Executed();
  // Never to be completed. Responses that have arrived can still be taken.
  void Fail(const Fault& fault);

  // The next response in order, nothing once complete. Throws TimedOut, and what the fault says.
  std::optional<ResponseValue> Next(const Deadline& deadline, const Interrupt& interrupt);
  // Whether Next would return or throw at once.
  bool HasNext() const;
  void Cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }
  bool complete() const;
  bool abandoned() const;
  bool rescheduled() const;

 private:
  enum class State { kNew, kOpen, kComplete };

  // With the lock.
  void Tell(const ResponseValue& response);
  void TellEnd(const std::string& error);

  RequestValue value_;
  const std::uint64_t span_;
  const std::uint64_t parent_;
  const std::int64_t made_;
  std::shared_ptr<Tap> tap_;
  std::atomic<bool> cancelled_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kNew;
  bool executing_ = false;
  bool dropped_ = false;
  bool abandoned_ = false;
  bool rescheduled_ = false;
  std::deque<ResponseValue> responses_;
  std::optional<Fault> fault_;
};

// The response factories of a channel: what the addresses in request messages stand for. They are keys of
// this map, so whatever number comes back from the other process is either known or not.
class OpenRequests {
 public:
  std::int64_t Add(std::shared_ptr<Pending> pending);
  std::shared_ptr<Pending> Find(std::int64_t key) const;
  std::shared_ptr<Pending> Take(std::int64_t key);
  // Forgets all and fails those that are not complete.
  void FailAll(const Fault& fault);
  std::size_t size() const;
  // How many there were; the last one's key.
  std::int64_t Sent() const;
  // The key, if exactly one request is open; else 0.
  std::uint32_t OnlyKey() const;

 private:
  mutable std::mutex mutex_;
  std::int64_t next_key_ = 1;
  std::unordered_map<std::int64_t, std::shared_ptr<Pending>> pending_;
};

}  // namespace wb
