#include "runtime/parent_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "codec/request.hpp"
#include "codec/text.hpp"
#include "shm/turn.hpp"

namespace wb {

namespace {

// What the parent wrote into the error triple of a metrics or model-control message. Read while the lock is
// still held and the parent still waits: once it is let go, the parent may free the text.
template <typename Message>
std::string TakeError(Pool* pool, const Message& message, const char* fallback) {
  if (!message.has_error) return {};
  if (!message.is_error_set) return fallback;
  return ReadString(pool, message.error);
}

}  // namespace

ParentLink::ParentLink(const Options& options, const Release& release)
    : options_(options),
      release_(release),
      parent_(options.parent_pid),
      pool_(Pool::Open(options.region_name, options.region_growth)) {
  // The parent keeps the control block until this process has ended.
  control_ = pool_->At<wire::Control>(options.control);
  stub_mq_ = Queue::Load(pool_.get(), control_->stub_mq);
  parent_mq_ = Queue::Load(pool_.get(), control_->parent_mq);
  s2p_ = Queue::Load(pool_.get(), control_->stub_to_parent_mq);
  p2s_ = Queue::Load(pool_.get(), control_->parent_to_stub_mq);
}

ParentLink::ParentWatch::ParentWatch(pid_t pid)
    : pid_(pid), fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}

ParentLink::ParentWatch::~ParentWatch() {
  if (fd_ >= 0) close(fd_);
}

bool ParentLink::ParentWatch::gone() const {
  if (fd_ < 0) return kill(pid_, 0) != 0 && errno == ESRCH;
  pollfd watched{fd_, POLLIN, 0};
  return poll(&watched, 1, 0) > 0;
}

Envelope ParentLink::NextCommand() {
  return Envelope::Load(pool_.get(), release_, *stub_mq_.Pop(Deadline::Never(), &spin_));
}

namespace {

// Pattern A: two phases on the payload's own mutex and condition. `read` runs between them, with the parent
// waiting.
template <typename Message, typename Read>
void TwoPhase(Queue* queue, const Envelope& envelope, Message* message, Read read) {
  SharedLock lock(&message->mu);
  queue->Push(envelope.handle());
  Await(&message->cv, &message->mu, Watch{}, "the parent's answer", [&] { return message->waiting_on_stub; });
  read();
  message->waiting_on_stub = false;
  // Woken after the lock is free: a parent that wakes must not block on it at once.
  lock.Unlock();
  pthread_cond_broadcast(&message->cv);
}

}  // namespace

void ParentLink::Log(const LogValue& log) {
  HeldRefs keep(pool_.get());
  Ref payload = NewLog(pool_.get(), log, keep.get());
  const Envelope envelope = Envelope::Create(pool_.get(), release_, Command::kLog, payload.handle(), false);
  TwoPhase(&s2p_, envelope, payload.as<wire::Log>(), [] {});
}

void ParentLink::Cleanup(Command command, std::uint64_t id) {
  Ref payload = NewCleanup(pool_.get(), id);
  auto* data = payload.as<wire::Cleanup>();
  const Envelope envelope = Envelope::Create(pool_.get(), release_, command, payload.handle(), true);
  SharedLock lock(envelope.mutex());
  s2p_.Push(envelope.handle());
  Await(envelope.condition(), envelope.mutex(), Watch{}, "a clean-up", [&] { return data->waiting_on_stub; });
}

bool ParentLink::IsCancelled(std::int64_t factory, std::int64_t request) {
  Ref payload = NewIsCancelled(pool_.get(), factory, request);
  auto* data = payload.as<wire::IsCancelled>();
  const Envelope envelope =
      Envelope::Create(pool_.get(), release_, Command::kIsCancelled, payload.handle(), false);
  bool cancelled = false;
  TwoPhase(&s2p_, envelope, data, [&] { cancelled = data->is_cancelled; });
  return cancelled;
}

void ParentLink::CancelBls(std::uint64_t id) {
  Ref payload = NewCancelBls(pool_.get(), id);
  const Envelope envelope =
      Envelope::Create(pool_.get(), release_, Command::kCancelBls, payload.handle(), false);
  TwoPhase(&s2p_, envelope, payload.as<wire::CancelBls>(), [] {});
}

void ParentLink::MetricFamily(Command command, MetricFamilyValue* family) {
  HeldRefs keep(pool_.get());
  Ref payload = NewMetricMessage(pool_.get(), WriteMetricFamily(pool_.get(), *family, keep.get()));
  auto* data = payload.as<wire::MetricMessage>();
  const Envelope envelope = Envelope::Create(pool_.get(), release_, command, payload.handle(), false);
  std::string error;
  TwoPhase(&s2p_, envelope, data, [&] {
    error = TakeError(pool_.get(), *data, "unknown error");
    family->address = data->address;
  });
  if (!error.empty()) throw ServiceError(error);
}

double ParentLink::Metric(Command command, MetricValue* metric) {
  HeldRefs keep(pool_.get());
  Ref payload = NewMetricMessage(pool_.get(), WriteMetric(pool_.get(), release_, *metric, keep.get()));
  auto* data = payload.as<wire::MetricMessage>();
  const Envelope envelope = Envelope::Create(pool_.get(), release_, command, payload.handle(), false);
  std::string error;
  double value = 0;
  TwoPhase(&s2p_, envelope, data, [&] {
    error = TakeError(pool_.get(), *data, "unknown error");
    value = data->value;
    if (command == Command::kMetricNew) metric->address = data->address;
  });
  if (!error.empty()) throw ServiceError(error);
  return value;
}

bool ParentLink::Control(Command command, const ModelLoaderValue& value) {
  HeldRefs keep(pool_.get());
  Ref payload = NewModelLoaderMessage(pool_.get(), WriteModelLoader(pool_.get(), value, keep.get()));
  auto* data = payload.as<wire::ModelLoaderMessage>();
  const Envelope envelope = Envelope::Create(pool_.get(), release_, command, payload.handle(), false);
  std::string error;
  bool ready = false;
  TwoPhase(&s2p_, envelope, data, [&] {
    error = TakeError(pool_.get(), *data, "unknown error");
    ready = data->is_model_ready;
  });
  if (!error.empty()) throw ServiceError(error);
  return ready;
}

void ParentLink::SendResponse(std::int64_t request, std::int64_t factory, Handle response,
                              std::uint32_t flags) {
  Ref payload = NewResponseSend(pool_.get(), request, factory, response, flags);
  auto* data = payload.as<wire::ResponseSend>();
  const Envelope envelope =
      Envelope::Create(pool_.get(), release_, Command::kResponseSend, payload.handle(), false);
  std::string error;
  {
    SharedLock lock(&data->mu);
    ServiceQueue().Push(envelope.handle());
    Await(&data->cv, &data->mu, Watch{}, "the parent's turn", [&] { return data->is_stub_turn; });
    error = TakeError(pool_.get(), *data, "An error occurred while sending a response.");
    data->is_stub_turn = false;
    lock.Unlock();
    pthread_cond_broadcast(&data->cv);
  }
  if (!error.empty()) throw ServiceError(error);
}

ResponseValue ParentLink::Infer(Command command, const RequestValue& request) {
  HeldRefs keep(pool_.get());
  const Handle handle = WriteRequest(pool_.get(), request, keep.get());
  const Handle batch = WriteRequestBatch(pool_.get(), {handle}, keep.get());
  const Envelope envelope = Envelope::Create(pool_.get(), release_, command, batch, true);
  SharedLock lock(envelope.mutex());
  ServiceQueue().Push(envelope.handle());
  // Pattern C has no flag: the lock is held from the push to the wait, and the parent notifies once, after it
  // has written where the answer lies. That alone must not end the wait: the parent is still to take the lock
  // then.
  do {
    WaitCondition(envelope.condition(), envelope.mutex(), Deadline::Never());
  } while (envelope.response_handle() == 0);
  // The parent holds its answer until it is notified again: do so however reading it ends.
  struct LetGo {
    pthread_cond_t* condition;
    ~LetGo() { pthread_cond_broadcast(condition); }
  } let_go{envelope.condition()};
  const Envelope answer = Envelope::Load(pool_.get(), release_, envelope.response_handle());
  const ResponseBatchValue responses = ReadResponseBatch(pool_.get(), release_, answer.args());
  if (responses.has_error) {
    ResponseValue failed;
    failed.error = ErrorValue{ErrorCode::kInternal, responses.error};
    return failed;
  }
  if (responses.responses.empty() || responses.responses.front() == 0) {
    ResponseValue failed;
    failed.error = ErrorValue{ErrorCode::kInternal, "An error occurred while performing BLS request."};
    return failed;
  }
  return ReadResponse(pool_, release_, responses.responses.front());
}

}  // namespace wb
