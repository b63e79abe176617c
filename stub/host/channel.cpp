#include "host/channel.hpp"

#include <unistd.h>

#include <utility>

#include "codec/request.hpp"
#include "protocol/error.hpp"
#include "shm/note.hpp"

namespace wb {

namespace {

constexpr auto kTickPatience = std::chrono::seconds(1);  // a stub ticks every 300 ms

std::string Quoted(const std::string& name) { return "'" + name + "'"; }

// Tells the tap that a batch is over, however it ends.
class TellExecuted {
 public:
  TellExecuted(Tap* tap, std::uint64_t batch) : tap_(tap), batch_(batch) {}
  ~TellExecuted() {
    if (!tap_) return;
    TapEvent event;
    event.kind = TapKind::kExecuted;
    event.span = batch_;
    event.since = written_;
    tap_->Record(event);
  }
  void Written() { written_ = MonotonicNow(); }
  TellExecuted(const TellExecuted&) = delete;
  TellExecuted& operator=(const TellExecuted&) = delete;

 private:
  Tap* tap_;
  std::uint64_t batch_;
  std::int64_t written_ = 0;
};

}  // namespace

// A question to the stub and all that it consists of.
struct Channel::Batch {
  Envelope message;
  Refs refs;
  std::vector<std::shared_ptr<Pending>> requests;
  std::vector<std::int64_t> keys;
  std::vector<Handle> handles;
  std::uint64_t span = 0;

  void Release(Pool* pool) {
    Pool::Guard guard(pool);
    refs.clear();
    message = Envelope();
  }
};

// The right to lead the conversation.
class Channel::Talk {
 public:
  explicit Talk(Channel* channel) : lock_(channel->talking_, std::try_to_lock) {
    const std::string who = Quoted(channel->link_->options().name);
    if (!lock_) throw Error("another thread is talking to stub process " + who);
    channel->link_->CheckFault();
    if (channel->link_->closing()) throw Error("the channel to stub process " + who + " is closed");
    if (!channel->link_->peer().attached()) throw Error("no process is attached for " + who);
    if (channel->answer_outstanding_) {
      throw TimedOut("stub process " + who + " is still busy with what it did not answer in time");
    }
  }

 private:
  std::unique_lock<std::mutex> lock_;
};

Channel::Channel(const LinkOptions& options, std::shared_ptr<Services> services, std::size_t thread_pool_size)
    : link_(std::make_shared<Link>(options)),
      services_(std::make_shared<ServiceLoop>(link_, std::move(services), thread_pool_size)) {}

Channel::~Channel() { Close(); }

std::vector<std::string> Channel::Arguments(const std::string& model_file, const std::string& python_lib,
                                            const std::string& runtime_model_dir) const {
  const LinkOptions& options = link_->options();
  return {model_file,
          options.region_name,
          std::to_string(options.default_size),
          std::to_string(options.growth),
          std::to_string(getpid()),
          python_lib,
          std::to_string(link_->control_handle()),
          options.name,
          runtime_model_dir};
}

void Channel::Attach(pid_t pid) {
  if (link_->closing())
    throw Error("the channel to stub process " + Quoted(link_->options().name) + " is closed");
  link_->peer().Attach(pid);
  if (link_->peer().Gone()) throw PeerGone(link_->NotHealthyText());
  services_->Start();
}

void Channel::WaitStarted(const Deadline& deadline, const Interrupt& interrupt) {
  const Talk talk(this);
  // Nobody ticks yet, so only the process itself can be watched. What the message says was never written.
  PopWatching(false, deadline, interrupt);
  started_ = true;
}

template <typename Read>
void Channel::ReadAnswer(Read read) {
  // On every path: the stub pops the dummy unconditionally.
  try {
    read();
  } catch (const LockDied&) {  // see Explain
    SendDummy();
    throw;
  } catch (const RegionBroken& error) {
    // Before the stub may go, which would be told as its end.
    link_->Fail(Fault::Kind::kProtocol, error.what());
    SendDummy();
    throw;
  }
  SendDummy();
}

std::string Channel::AutoComplete(const std::string& config, const Deadline& deadline,
                                  const Interrupt& interrupt) {
  const Talk talk(this);
  Pool* pool = link_->pool();
  auto batch = std::make_unique<Batch>();
  const Handle text = WriteString(pool, config, &batch->refs);
  batch->message = Envelope::Create(pool, link_->release(), Command::kAutoCompleteRequest, text, false);
  const Handle message = Ask(&batch, Command::kAutoCompleteResponse, deadline, interrupt);
  bool has_error = false;
  std::string result;
  ReadAnswer([&] {
    const auto* response = pool->At<wire::AutoCompleteResponse>(pool->At<wire::Message>(message)->args);
    has_error = response->has_error;
    if (has_error) {
      result = response->is_error_set ? ReadString(pool, response->error) : "";
    } else {
      result = response->has_model_config ? ReadString(pool, response->model_config) : config;
    }
  });
  batch->Release(pool);
  services_->Settle();
  if (has_error) throw ModelRefused(result);
  return result;
}

void Channel::Initialize(const StringMap& arguments, const Deadline& deadline, const Interrupt& interrupt) {
  const Talk talk(this);
  Pool* pool = link_->pool();
  auto batch = std::make_unique<Batch>();
  const Handle map = WriteMap(pool, arguments, &batch->refs);
  batch->message = Envelope::Create(pool, link_->release(), Command::kInitializeRequest, map, false);
  const Handle message = Ask(&batch, Command::kInitializeResponse, deadline, interrupt);
  bool has_error = false;
  std::string error;
  ReadAnswer([&] {
    const auto* response = pool->At<wire::InitializeResponse>(pool->At<wire::Message>(message)->args);
    has_error = response->has_error;
    if (has_error && response->is_error_set) error = ReadString(pool, response->error);
  });
  batch->Release(pool);
  services_->Settle();
  if (has_error) throw ModelRefused(error);
}

void Channel::Finalize(const Deadline& deadline, const Interrupt& interrupt) {
  const Talk talk(this);
  auto batch = std::make_unique<Batch>();
  batch->message = Envelope::Create(link_->pool(), link_->release(), Command::kFinalizeRequest, 0, false);
  Ask(&batch, Command::kFinalizeResponse, deadline, interrupt);
  batch->Release(link_->pool());
}

void Channel::Execute(const std::vector<std::shared_ptr<Pending>>& requests, const Deadline& deadline,
                      const Interrupt& interrupt) {
  const Talk talk(this);
  const Release& release = link_->release();
  auto batch = std::make_unique<Batch>();
  batch->requests = requests;
  batch->span = NextSpan();
  link_->set_batch(batch->span);
  std::optional<TellExecuted> executed;
  executed.emplace(link_->tap().get(), batch->span);
  WriteBatch(batch.get());
  executed->Written();
  const Handle message = Ask(&batch, Command::kExecuteResponse, deadline, interrupt);

  // Where every response is sent on its own, the answer carries none and leaves its count uninitialised.
  const bool with_handles = release.execute_path == ExecutePath::kInline ||
                            (release.execute_path == ExecutePath::kSeparate && !link_->options().decoupled);
  TakeAnswer(batch.get(), message, with_handles);
  executed.reset();
  services_->Settle();
}

void Channel::WriteBatch(Batch* batch) {
  Pool* pool = link_->pool();
  const Release& release = link_->release();
  const bool factories = release.factories_for_all() || link_->options().decoupled;
  std::size_t opened = 0;
  try {
    for (const auto& pending : batch->requests) {
      const std::int64_t key = link_->requests().Add(pending);
      batch->keys.push_back(key);
      const NoteScope note(Origin::kRequest, 0, static_cast<std::uint32_t>(key));
      pending->Open(key, factories ? key : 0, link_->tap(), batch->span);
      ++opened;
      batch->handles.push_back(WriteRequest(pool, pending->value(), &batch->refs, &link_->texts()));
    }
    Pool::Guard guard(pool);
    const Handle args = WriteRequestBatch(pool, batch->handles, &batch->refs);
    batch->message = Envelope::Create(pool, release, Command::kExecuteRequest, args, false);
  } catch (...) {
    for (const std::int64_t key : batch->keys) link_->requests().Take(key);
    for (std::size_t i = 0; i < opened; ++i) batch->requests[i]->Unsend();
    throw;
  }
}

void Channel::TakeAnswer(Batch* batch, Handle message, bool with_handles) {
  const std::size_t count = batch->requests.size();
  std::vector<std::optional<ResponseValue>> responses(count);
  std::vector<bool> rescheduled(count, false);
  ReadAnswer([&] {
    const ResponseBatchValue answer =
        ReadExecuteResponse(link_->pool(), link_->release(), message, with_handles);
    if (!answer.has_error && !answer.responses.empty() && answer.responses.size() != count) {
      throw RegionBroken("the stub answered " + std::to_string(count) + " requests with " +
                         std::to_string(answer.responses.size()) + " responses");
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (answer.has_error) {
        responses[i].emplace().error = ErrorValue{ErrorCode::kInternal, answer.error};
        continue;
      }
      rescheduled[i] = (ReadReleaseFlags(link_->pool(), batch->handles[i]) & kReleaseReschedule) != 0;
      if (rescheduled[i] || answer.responses.empty() || answer.responses[i] == 0) continue;
      try {
        responses[i] = ReadResponse(link_->shared_pool(), link_->release(), answer.responses[i]);
      } catch (const RegionBroken&) {
        throw;
      } catch (const Error& error) {
        responses[i].emplace().error = ErrorValue{ErrorCode::kInternal, error.what()};
      }
    }
  });
  batch->Release(link_->pool());
  // Without factories nothing can be answered later.
  const bool ends_here = with_handles && !link_->release().factories_for_all();
  for (std::size_t i = 0; i < count; ++i) {
    Pending& pending = *batch->requests[i];
    const bool answered = responses[i].has_value();
    if (rescheduled[i]) {
      pending.Reschedule();
    } else if (answered) {
      pending.Deliver(std::move(*responses[i]), true);
    } else if (ends_here) {
      pending.Drop();
    }
    if (pending.Executed() || answered || rescheduled[i]) link_->requests().Take(batch->keys[i]);
  }
}

// Pushes the question and gives the message that answers it. Whatever interrupts that, the question stays
// alive: the stub may still read it.
Handle Channel::Ask(std::unique_ptr<Batch>* batch, Command answer, const Deadline& deadline,
                    const Interrupt& interrupt) {
  if (!started_) throw Error("the stub process has not been waited for\nhint: call wait_started() first");
  const Handle question = (*batch)->message.handle();
  answer_outstanding_ = true;
  try {
    link_->Push(&link_->stub_mq(), question, deadline);
    const Handle message = PopWatching(true, deadline, interrupt);
    const Command command = link_->release().FromWire(link_->pool()->At<wire::Message>(message)->command);
    if (command != answer) {
      throw RegionBroken("stub process " + Quoted(link_->options().name) + " answered with " +
                         std::string(Name(command)) + " where " + std::string(Name(answer)) + " was due");
    }
    answer_outstanding_ = false;
    return message;
  } catch (const RegionBroken& error) {
    in_flight_ = std::move(*batch);
    if (link_->MeansTheEnd(error)) {
      link_->FailNotHealthy();
      throw PeerGone(link_->NotHealthyText());
    }
    link_->Fail(Fault::Kind::kProtocol, error.what());
    throw;
  } catch (const PeerGone&) {
    in_flight_ = std::move(*batch);
    // Also while it is being closed: the requests may have been added after all open ones were made to fail.
    link_->closing() ? link_->FailClosed() : link_->FailNotHealthy();
    throw;
  } catch (...) {
    in_flight_ = std::move(*batch);
    throw;
  }
}

Handle Channel::PopWatching(bool ticks, const Deadline& deadline, const Interrupt& interrupt) {
  Deadline next_tick = Deadline::After(kTickPatience);
  for (;;) {
    // Asked before the queue is: what a process sent before its end still counts.
    const bool over = link_->Over();
    if (const auto handle =
            services_->PopAnswer(over ? Deadline::After({}) : deadline.Slice(Watch::kSlice))) {
      if (*handle != 0) return *handle;
      continue;  // woken to look around
    }
    link_->CheckFault();
    if (over) throw PeerGone(link_->NotHealthyText());
    if (interrupt) interrupt();
    if (deadline.passed()) {
      throw TimedOut("Stub process " + Quoted(link_->options().name) + " did not answer in time");
    }
    if (ticks && next_tick.passed()) {
      if (!StillTicks()) {
        link_->FailNotHealthy();
        link_->CheckFault();
      }
      next_tick = Deadline::After(kTickPatience);
    }
  }
}

// Whether the health thread of the stub has run since this was asked last. A busy model does not keep it from
// running; a stopped process does.
bool Channel::StillTicks() {
  wire::Control* control = link_->control();
  try {
    if (!LockMutex(&control->stub_health_mutex, Deadline::After(kTickPatience))) return false;
  } catch (const RegionBroken&) {
    return false;
  }
  const bool ticked = control->stub_health;
  control->stub_health = false;
  UnlockMutex(&control->stub_health_mutex);
  return ticked;
}

void Channel::Close() {
  // A forked child has none of the threads, and the conversation is its parent's.
  if (closed_.exchange(true) || link_->pool()->inherited()) return;
  link_->StartClosing();
  services_->Stop();
  link_->FailClosed();
  link_->retained().Clear();
  link_->pool()->Unlink();
}

std::size_t Channel::FreeBytes() {
  link_->retained().Sweep();
  return link_->pool()->FreeBytes();
}

void Channel::SendDummy() { link_->Push(&link_->stub_mq(), 0); }

}  // namespace wb
