#include "host/service_loop.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "protocol/error.hpp"

namespace wb {

namespace {

constexpr auto kIdleSlice = std::chrono::milliseconds(500);  // only for what no wake-up can tell
constexpr auto kSweepSlice = std::chrono::milliseconds(5);
constexpr auto kSettlePatience = std::chrono::milliseconds(100);
constexpr auto kSettleStep = std::chrono::microseconds(100);
// A model that made so many calls one after the other, and sent nothing meanwhile, will do so again.
constexpr int kCallsAlone = 8;

}  // namespace

ServiceLoop::ServiceLoop(std::shared_ptr<Link> link, std::shared_ptr<Services> services,
                         std::size_t pool_size)
    : link_(std::move(link)), services_(std::move(services)), pool_(pool_size), courier_(1) {}

ServiceLoop::~ServiceLoop() { Stop(); }

void ServiceLoop::Start() {
  const bool relays = !link_->release().services_on_s2p;
  serving_ = relays ? 2 : 1;
  const std::lock_guard lock(threads_mutex_);
  threads_.emplace_back([self = shared_from_this()] { self->Watch(); });
  threads_.emplace_back([self = shared_from_this()] { self->ServeInTurns(Relief::Seat::kFirst); });
  if (relays) {
    threads_.emplace_back([self = shared_from_this()] { self->Serve(&self->link_->parent_mq(), true); });
  }
}

void ServiceLoop::Stop() {
  link_->peer().Stop();
  link_->WakeReaders();
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(threads_mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
  courier_.Stop();
  pool_.Stop();
}

void ServiceLoop::Watch() {
  if (!link_->peer().WaitForEnd()) return;
  link_->WakeReaders();
  relay_changed_.notify_all();
}

void ServiceLoop::ServeInTurns(Relief::Seat seat) {
  bool reads = seat == Relief::Seat::kFirst;
  while ((reads || relief_.StandBy(seat)) && Serve(&link_->stub_to_parent(), false, seat)) reads = false;
}

// From the first call on that could be a quick one: most models make none.
void ServiceLoop::AddSecondReader() {
  const std::lock_guard lock(threads_mutex_);
  if (link_->closing()) return;
  has_second_reader_ = true;
  try {
    threads_.emplace_back([self = shared_from_this()] { self->ServeInTurns(Relief::Seat::kSecond); });
  } catch (const std::system_error&) {  // no thread to be had: the first goes on alone
  }
}

// The way through the pool costs a call a third of its time. But what else the model sends has to wait while
// the reader works, so it must be a model that sends nothing else.
bool ServiceLoop::IsQuickCall(const Incoming& message) {
  if (!IsCall(message.command)) return false;
  calls_alone_ = link_->CallsAreAlone() ? std::min(calls_alone_ + 1, kCallsAlone) : 0;
  if (calls_alone_ < kCallsAlone || message.command != Command::kInferExecRequest) return false;
  if (!has_second_reader_) AddSecondReader();
  return link_->stub_to_parent().Depth() == 0 && relief_.Begin();
}

bool ServiceLoop::Serve(Queue* queue, bool is_conversation, Relief::Seat seat) {
  // The first message on parent_mq only says that the process runs; its command was never written.
  bool is_first = is_conversation;
  Spin spin;
  bool called = false;  // a model waits for another model's answer: the next message is not near
  bool relieved = false;
  Run([&] {
    while (!link_->closing()) {
      const bool sweeps = !is_conversation && !link_->retained().empty();
      const auto handle =
          queue->Pop(Deadline::After(sweeps ? kSweepSlice : kIdleSlice), called ? nullptr : &spin);
      if (sweeps) link_->retained().Sweep();
      if (handle.value_or(0) == 0) {
        if (is_conversation) Relay(0);
        if (link_->peer().Gone() && queue->Depth() == 0) return;
        continue;
      }
      if (std::exchange(is_first, false)) {
        Relay(*handle);
        continue;
      }
      const Incoming message(link_.get(), *handle);
      if (!is_conversation && IsQuickCall(message)) {
        Run(TakeBlsCall(message.handle));
        called = false;
        relieved = !relief_.End(seat);
        if (relieved) return;
        continue;
      }
      called = IsCall(message.command);
      if (is_conversation && !IsService(message.command)) {
        Relay(*handle);
      } else {
        Dispatch(message);
      }
    }
  });
  if (relieved) return true;
  if (!is_conversation) relief_.Stop();
  // Only now: what was sent before the end has been taken over.
  if (--serving_ == 0 && !link_->closing() && link_->peer().Gone()) link_->FailNotHealthy();
  return false;
}

// Nothing may escape a thread; what cannot go on ends the conversation.
void ServiceLoop::Run(const std::function<void()>& job) {
  try {
    job();
  } catch (const PeerGone&) {
  } catch (const TimedOut&) {  // a lock of the region stays taken: its holder stands still
    link_->FailNotHealthy();
  } catch (const std::exception& error) {
    if (link_->closing() || link_->MeansTheEnd(error)) return;
    link_->Fail(Fault::Kind::kProtocol, error.what());
  }
}

void ServiceLoop::Relay(Handle handle) {
  {
    const std::lock_guard lock(relay_mutex_);
    relayed_.push_back(handle);
  }
  relay_changed_.notify_all();
}

std::optional<Handle> ServiceLoop::PopAnswer(const Deadline& deadline) {
  if (link_->release().services_on_s2p) return link_->parent_mq().Pop(deadline, &answer_spin_);
  std::unique_lock lock(relay_mutex_);
  while (relayed_.empty()) {
    if (relay_changed_.wait_for(lock, deadline.Left(Watch::kSlice)) == std::cv_status::timeout &&
        relayed_.empty()) {
      return std::nullopt;
    }
  }
  const Handle handle = relayed_.front();
  relayed_.pop_front();
  return handle;
}

void ServiceLoop::Settle() {
  const Deadline patience = Deadline::After(kSettlePatience);
  while ((courier_.jobs() > 0 || link_->stub_to_parent().Depth() > 0) && !patience.passed()) {
    std::this_thread::sleep_for(kSettleStep);
  }
}

void ServiceLoop::Submit(std::function<void()> answer) {
  pool_.Submit([this, answer = std::move(answer)] { Run(answer); });
}

}  // namespace wb
