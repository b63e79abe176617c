#include "host/link.hpp"

#include <cstring>
#include <utility>

#include "host/bls_call.hpp"
#include "protocol/error.hpp"
#include "shm/note.hpp"

namespace wb {

namespace {

constexpr auto kWakePatience = std::chrono::milliseconds(50);
constexpr auto kEndPatience = std::chrono::milliseconds(1000);  // a large process takes a while to end

std::shared_ptr<Pool> MakePool(const LinkOptions& options) {
  if (options.region_name.empty() || options.region_name.find('/') != std::string::npos) {
    throw Error("'" + options.region_name +
                "' cannot be the name of a shared-memory region: it must not be empty or " + "contain '/'");
  }
  return Pool::Create(options.region_name, options.default_size, options.growth);
}

}  // namespace

Link::Link(const LinkOptions& options)
    : options_(options), pool_(MakePool(options)), retained_(pool_.get()), texts_(pool_.get()) {
  try {
    const NoteScope note(Origin::kControl);
    control_ = pool_->AllocateAs<wire::Control>();
    stub_mq_ = Queue::Create(pool_.get(), options.queue_size);
    parent_mq_ = Queue::Create(pool_.get(), options.queue_size);
    stub_to_parent_ = Queue::Create(pool_.get(), options.queue_size);
    parent_to_stub_ = Queue::Create(pool_.get(), options.queue_size);
    memory_manager_ = Queue::Create(pool_.get(), options.queue_size);
  } catch (...) {
    pool_->Unlink();
    throw;
  }
  wire::Control* control = this->control();
  control->uses_env = options.uses_env;
  control->decoupled = options.decoupled;
  InitMutex(&control->stub_health_mutex);
  control->stub_mq = stub_mq_.handle();
  control->parent_mq = parent_mq_.handle();
  control->stub_to_parent_mq = stub_to_parent_.handle();
  control->parent_to_stub_mq = parent_to_stub_.handle();
  control->memory_manager_mq = memory_manager_.handle();
}

Link::~Link() { pool_->Unlink(); }

std::uint64_t Link::AddCall(std::weak_ptr<BlsCall> call) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = next_call_++;
  calls_.emplace(id, std::move(call));
  return id;
}

std::shared_ptr<BlsCall> Link::FindCall(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(id);
  return found == calls_.end() ? nullptr : found->second.lock();
}

void Link::ForgetCall(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  calls_.erase(id);
}

void Link::Fail(Fault::Kind kind, const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    if (!fault_) fault_ = Fault{kind, text};
  }
  failed_ = true;
  requests_.FailAll(*fault());
}

std::optional<Fault> Link::fault() const {
  const std::lock_guard lock(mutex_);
  return fault_;
}

void Link::CheckFault() const {
  if (!failed_) return;
  if (const auto reason = fault()) reason->Throw();
}

bool Link::MeansTheEnd(const std::exception& error) {
  const bool lock_died = dynamic_cast<const LockDied*>(&error) != nullptr;
  return peer_.GoneWithin(lock_died ? kEndPatience : std::chrono::milliseconds(0));
}

void Link::Lock(pthread_mutex_t* mutex) {
  while (!LockMutex(mutex, Deadline::After(Watch::kSlice))) {
    if (Over()) throw PeerGone(NotHealthyText());
  }
}

void Link::Push(Queue* queue, Handle value, const Deadline& deadline) {
  while (!queue->Push(value, deadline.Slice(Watch::kSlice))) {
    if (Over()) throw PeerGone(NotHealthyText());
    if (deadline.passed()) throw TimedOut("a message queue of '" + options_.name + "' stayed full");
  }
}

void Link::WakeReaders() noexcept {
  for (Queue* queue : {&parent_mq_, &stub_to_parent_}) {
    try {
      queue->Push(0, Deadline::After(kWakePatience));
    } catch (const std::exception&) {  // its lock died with its owner: the readers notice that by themselves
    }
  }
}

}  // namespace wb
