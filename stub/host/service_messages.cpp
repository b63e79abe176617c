// What the service loop does with each message that a stub sends (protocol.md §5.14); its threads are in
// service_loop.cpp.
#include <utility>

#include "codec/response.hpp"
#include "host/service_loop.hpp"
#include "protocol/error.hpp"

namespace wb {

namespace {

// Log lines waiting for their handler; beyond that, the model waits for the handler.
constexpr std::size_t kMostLogLines = 256;

constexpr const char* kNoThread = "there is no thread to answer this";

}  // namespace

ServiceLoop::Incoming::Incoming(Link* link, Handle at) : handle(at) {
  const auto* message = link->pool()->At<wire::Message>(at);
  number = message->command;
  command = link->release().FromWire(number);
  args = message->args;
  if (message->inline_response) {
    mutex = link->pool()->At<pthread_mutex_t>(message->response_mutex);
    condition = link->pool()->At<pthread_cond_t>(message->response_cond);
  }
}

bool ServiceLoop::IsCall(Command command) {
  return command == Command::kInferExecRequest || command == Command::kInferStreamExecRequest;
}

bool ServiceLoop::IsService(Command command) { return IsCall(command) || command == Command::kResponseSend; }

void ServiceLoop::Dispatch(const Incoming& message) {
  switch (message.command) {
    case Command::kLog:
      return TakeLog(message.args);
    case Command::kResponseSend:
      return TakeResponse(message.args);
    case Command::kInferExecRequest:
    case Command::kInferStreamExecRequest:
      return Submit(TakeBlsCall(message.handle));
    case Command::kBlsCleanup:
    case Command::kResponseFactoryCleanup:
      return TakeCleanup(message);
    case Command::kIsCancelled:
      return TakeIsCancelled(message.args);
    case Command::kCancelBls:
      return TakeCancelBls(message.args);
    case Command::kMetricFamilyNew:
    case Command::kMetricFamilyDelete:
    case Command::kMetricNew:
    case Command::kMetricDelete:
    case Command::kMetricValue:
    case Command::kMetricIncrement:
    case Command::kMetricSet:
    case Command::kMetricObserve:
      return TakeMetric(message.command, message.args);
    case Command::kLoadModel:
    case Command::kUnloadModel:
    case Command::kModelReadiness:
      return TakeControl(message.command, message.args);
    default:
      throw RegionBroken("the stub sent command " + std::to_string(message.number) + ", which release " +
                         std::string(link_->release().name) + " does not know here");
  }
}

// Upstream waits here until the other side has lowered the flag again. It need not: that side keeps its own
// references until it has, and the one thing of ours that it reads afterwards, an error text, is retained
// (see Refuse).
template <typename Payload, typename Fill>
void ServiceLoop::Answer(Handle payload, Fill fill) {
  auto* data = link_->pool()->At<Payload>(payload);
  // All blocking payloads begin with mutex, condition, flag, whatever they call the flag.
  auto* turn = reinterpret_cast<wire::Turn*>(data);
  const LinkLock lock(link_.get(), &turn->mu);
  fill(data);
  turn->waiting_on_stub = true;
  pthread_cond_broadcast(&turn->cv);
}

template <typename Payload>
void ServiceLoop::Refuse(Handle payload, const std::string& text) {
  Parcel parcel;
  Handle error = 0;
  try {
    error = WriteString(link_->pool(), text, &parcel.refs);
  } catch (const PoolExhausted&) {  // then without words
  }
  parcel.refs.push_back(link_->pool()->Load(payload));
  Answer<Payload>(payload, [error](Payload* data) {
    data->has_error = true;
    data->is_error_set = error != 0;
    data->error = error;
  });
  Pool* pool = link_->pool();
  link_->retained().Keep(std::move(parcel), [pool, payload] { return pool->Count(payload) == 1; });
}

void ServiceLoop::TakeLog(Handle payload) {
  LogValue log = ReadLog(link_->pool(), payload);
  const bool crowded = courier_.jobs() > kMostLogLines;
  const auto acknowledge = [this, payload] { Answer<wire::Log>(payload, [](wire::Log*) {}); };
  // Queued before it is acknowledged, so that Settle cannot miss it.
  courier_.Submit([this, self = shared_from_this(), log = std::move(log), crowded, acknowledge] {
    services_->Log(log);
    if (crowded) Run(acknowledge);
  });
  if (!crowded) acknowledge();
}

void ServiceLoop::TakeResponse(Handle payload) {
  const auto* data = link_->pool()->At<wire::ResponseSend>(payload);
  const std::int64_t key =
      data->response_factory_address != 0 ? data->response_factory_address : data->request_address;
  const Handle response = data->response;
  const bool final = data->flags == kResponseFinal;
  const std::shared_ptr<Pending> pending = link_->requests().Find(key);
  std::string problem;
  if (!pending) {
    problem = "the request of this response is not open any more";
  } else {
    try {
      if (response != 0) {
        pending->Deliver(ReadResponse(link_->shared_pool(), link_->release(), response), final);
      } else if (final) {
        pending->Finish();
      }
    } catch (const RegionBroken&) {
      throw;
    } catch (const Error& error) {
      problem = error.what();
      ResponseValue failed;
      failed.error = ErrorValue{ErrorCode::kInternal, problem};
      pending->Deliver(std::move(failed), final);
    }
  }
  // Before 24.10 a factory lives until the stub says so.
  if (final && link_->release().services_on_s2p) link_->requests().Take(key);
  if (!problem.empty()) return Refuse<wire::ResponseSend>(payload, problem);
  Answer<wire::ResponseSend>(payload, [](wire::ResponseSend*) {});
}

std::function<void()> ServiceLoop::TakeBlsCall(Handle message) {
  auto call = BlsCall::Take(link_, Envelope::Load(link_->pool(), link_->release(), message));
  return [this, self = shared_from_this(), call = std::move(call)]() mutable {
    try {
      call->Read();
    } catch (const RegionBroken&) {
      throw;
    } catch (const Error& error) {
      call->SendError(error.what(), ErrorCode::kUnsupported);
      return;
    }
    services_->Bls(std::move(call));
  };
}

void ServiceLoop::TakeCleanup(const Incoming& message) {
  auto* data = link_->pool()->At<wire::Cleanup>(message.args);
  if (!message.mutex) throw RegionBroken("a clean-up message came without a place for its answer");
  if (message.command == Command::kBlsCleanup) {
    link_->ForgetCall(data->id);
  } else {
    const auto key = static_cast<std::int64_t>(data->id);
    const auto pending = link_->requests().Find(key);
    if (pending && pending->Drop()) link_->requests().Take(key);
  }
  const LinkLock lock(link_.get(), message.mutex);
  data->waiting_on_stub = true;
  pthread_cond_broadcast(message.condition);
}

void ServiceLoop::TakeIsCancelled(Handle payload) {
  Answer<wire::IsCancelled>(payload, [this](wire::IsCancelled* data) {
    const std::int64_t factory = data->response_factory_address;
    // Both are 0 for a request the model made itself: nobody can have cancelled that.
    const auto pending = link_->requests().Find(factory != 0 ? factory : data->request_address);
    data->is_cancelled = pending && pending->cancelled();
  });
}

void ServiceLoop::TakeCancelBls(Handle payload) {
  Answer<wire::CancelBls>(payload, [this](wire::CancelBls* data) {
    if (const auto call = link_->FindCall(data->infer_payload_id)) call->Cancel();
    data->is_cancelled = true;  // also if there is nothing left to cancel
  });
}

void ServiceLoop::TakeMetric(Command operation, Handle payload) {
  const Handle subject = link_->pool()->At<wire::MetricMessage>(payload)->message;
  MetricQuestion question;
  question.operation = operation;
  if (operation == Command::kMetricFamilyNew || operation == Command::kMetricFamilyDelete) {
    question.family = ReadMetricFamily(link_->pool(), subject);
  } else {
    question.metric = ReadMetric(link_->pool(), link_->release(), subject);
  }
  const bool taken =
      courier_.Submit([this, self = shared_from_this(), question = std::move(question), payload] {
        Run([&] {
          MetricAnswer answer;
          try {
            answer = services_->Metric(question);
          } catch (const Error& error) {
            return Refuse<wire::MetricMessage>(payload, error.what());
          }
          Answer<wire::MetricMessage>(payload, [&](wire::MetricMessage* data) {
            data->value = answer.value;
            data->address = answer.address;
          });
        });
      });
  if (!taken) Refuse<wire::MetricMessage>(payload, kNoThread);
}

void ServiceLoop::TakeControl(Command operation, Handle payload) {
  ControlQuestion question;
  question.operation = operation;
  question.model =
      ReadModelLoader(link_->pool(), link_->pool()->At<wire::ModelLoaderMessage>(payload)->message);
  const bool taken = pool_.Submit([this, self = shared_from_this(), question = std::move(question), payload] {
    Run([&] {
      bool ready = false;
      try {
        ready = services_->Control(question);
      } catch (const Error& error) {
        return Refuse<wire::ModelLoaderMessage>(payload, error.what());
      }
      Answer<wire::ModelLoaderMessage>(
          payload, [ready](wire::ModelLoaderMessage* data) { data->is_model_ready = ready; });
    });
  });
  if (!taken) Refuse<wire::ModelLoaderMessage>(payload, kNoThread);
}

}  // namespace wb
