#include "host/pending.hpp"

#include <chrono>
#include <utility>

#include "protocol/error.hpp"
#include "shm/turn.hpp"

namespace wb {

namespace {

const char* const kAbandoned = "the model gave up the request without ending it";

}  // namespace

void Fault::Throw() const {
  if (kind == Kind::kNotHealthy) throw PeerGone(text);
  throw RegionBroken(text);
}

void Pending::Open(std::int64_t address, std::int64_t factory, std::shared_ptr<Tap> tap,
                   std::uint64_t batch) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::kNew) {
    throw Error(state_ == State::kOpen ? "the request is already being executed"
                                       : "the request is complete\nhint: make a new one for every inference");
  }
  state_ = State::kOpen;
  executing_ = true;
  dropped_ = false;
  rescheduled_ = false;
  value_.address = address;
  value_.factory = factory;
  tap_ = std::move(tap);
  if (!tap_ || !tap_->enabled()) return;
  TapEvent event;
  event.kind = TapKind::kRequest;
  event.span = span_;
  event.parent = parent_;
  event.other = batch;
  event.since = made_;
  event.name = value_.model_name;
  tap_->Record(event, value_.inputs);
}

void Pending::Tell(const ResponseValue& response) {
  if (!tap_ || !tap_->enabled()) return;
  TapEvent event;
  event.kind = TapKind::kResponse;
  event.span = span_;
  event.final = response.is_last;
  event.error = response.error.has_value();
  if (response.error) event.text = response.error->message;
  tap_->Record(event, response.outputs);
}

void Pending::TellEnd(const std::string& error) {
  if (!tap_ || !tap_->enabled()) return;
  TapEvent event;
  event.kind = TapKind::kResponse;
  event.span = span_;
  event.final = true;
  event.error = !error.empty();
  event.text = error;
  tap_->Record(event);
}

void Pending::Unsend() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kOpen) state_ = State::kNew;
}

void Pending::Reschedule() {
  const std::lock_guard lock(mutex_);
  if (state_ != State::kOpen) return;
  state_ = State::kNew;
  rescheduled_ = true;
  value_.flags &= ~kSequenceStart;  // it comes back as a later request of its sequence
}

void Pending::Deliver(ResponseValue response, bool final) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kComplete) return;
    response.is_last = final;
    Tell(response);
    responses_.push_back(std::move(response));
    if (final) state_ = State::kComplete;
  }
  changed_.notify_all();
}

void Pending::Finish() {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kComplete) TellEnd("");
    state_ = State::kComplete;
  }
  changed_.notify_all();
}

bool Pending::Drop() {
  {
    const std::lock_guard lock(mutex_);
    dropped_ = true;
    if (executing_) return false;
    if (state_ != State::kOpen) return true;
    state_ = State::kComplete;
    abandoned_ = true;
    TellEnd(kAbandoned);
  }
  changed_.notify_all();
  return true;
}

bool Pending::Executed() {
  {
    const std::lock_guard lock(mutex_);
    executing_ = false;
    if (!dropped_) return false;
    if (state_ != State::kOpen) return true;
    state_ = State::kComplete;
    abandoned_ = true;
    TellEnd(kAbandoned);
  }
  changed_.notify_all();
  return true;
}

void Pending::Fail(const Fault& fault) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kComplete || fault_) return;
    fault_ = fault;
    TellEnd(fault.text);
  }
  changed_.notify_all();
}

std::optional<ResponseValue> Pending::Next(const Deadline& deadline, const Interrupt& interrupt) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!responses_.empty()) {
      ResponseValue response = std::move(responses_.front());
      responses_.pop_front();
      return response;
    }
    if (state_ == State::kComplete) return std::nullopt;
    if (fault_) fault_->Throw();
    if (deadline.passed()) throw TimedOut("no response came in time");
    if (changed_.wait_for(lock, deadline.Left(Watch::kSlice)) == std::cv_status::timeout && interrupt) {
      lock.unlock();
      interrupt();
      lock.lock();
    }
  }
}

bool Pending::HasNext() const {
  const std::lock_guard lock(mutex_);
  return !responses_.empty() || state_ == State::kComplete || fault_;
}

bool Pending::complete() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::kComplete;
}

bool Pending::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

bool Pending::rescheduled() const {
  const std::lock_guard lock(mutex_);
  return rescheduled_;
}

std::int64_t OpenRequests::Add(std::shared_ptr<Pending> pending) {
  const std::lock_guard lock(mutex_);
  const std::int64_t key = next_key_++;
  pending_.emplace(key, std::move(pending));
  return key;
}

std::shared_ptr<Pending> OpenRequests::Find(std::int64_t key) const {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(key);
  return found == pending_.end() ? nullptr : found->second;
}

std::shared_ptr<Pending> OpenRequests::Take(std::int64_t key) {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(key);
  if (found == pending_.end()) return nullptr;
  std::shared_ptr<Pending> pending = std::move(found->second);
  pending_.erase(found);
  return pending;
}

void OpenRequests::FailAll(const Fault& fault) {
  std::unordered_map<std::int64_t, std::shared_ptr<Pending>> failed;
  {
    const std::lock_guard lock(mutex_);
    failed.swap(pending_);
  }
  for (const auto& [key, pending] : failed) pending->Fail(fault);
}

std::int64_t OpenRequests::Sent() const {
  const std::lock_guard lock(mutex_);
  return next_key_ - 1;
}

std::uint32_t OpenRequests::OnlyKey() const {
  const std::lock_guard lock(mutex_);
  return pending_.size() == 1 ? static_cast<std::uint32_t>(pending_.begin()->first) : 0;
}

std::size_t OpenRequests::size() const {
  const std::lock_guard lock(mutex_);
  return pending_.size();
}

}  // namespace wb
