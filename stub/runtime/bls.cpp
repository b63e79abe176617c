#include "runtime/bls.hpp"

#include "codec/response.hpp"
#include "codec/text.hpp"
#include "runtime/without_gil.hpp"
#include "shm/turn.hpp"

namespace wb {

ResponseIterator::ResponseIterator(Stub* stub, ResponseValue first, std::unique_ptr<CallRecord> record)
    : stub_(stub), id_(first.id), record_(std::move(record)) {
  const bool last = first.is_last || id_ == 0;
  if (!last) stream_ = stub->streams().Attach(id_);
  Take(std::move(first));
  if (last) CleanUp();
}

void ResponseIterator::Take(ResponseValue response) {
  responses_.push_back(std::make_shared<PyResponse>(std::move(response)));
  if (record_) record_->Add(*responses_.back());
}

ResponseIterator::~ResponseIterator() {
  if (record_) record_->End();
  if (!stream_) return;
  // Destructors run with the GIL, and the model may be the one that sends what is waited for.
  try {
    std::thread([stub = stub_, id = id_, stream = std::move(stream_)] {
      while (stream->Take()) {
      }
      stub->jobs().Push([stub, id] { stub->link().Cleanup(Command::kBlsCleanup, id); });
    }).detach();
  } catch (const std::exception& error) {  // no thread to be had
    WB_STUB_LOG(*stub_, LogLevel::kError,
                std::string("the last responses of a call were left behind: ") + error.what());
  }
}

void ResponseIterator::CleanUp() {
  stream_ = nullptr;
  if (record_) record_->End();
  if (id_ == 0) return;
  stub_->jobs().Push([stub = stub_, id = id_] { stub->link().Cleanup(Command::kBlsCleanup, id); });
}

std::shared_ptr<PyResponse> ResponseIterator::Next() {
  if (position_ < responses_.size()) return responses_[position_++];
  std::optional<ResponseValue> response;
  // A reference of our own: another thread may take the last response while this one waits.
  if (const auto stream = stream_) {
    const WithoutGil release;
    response = stream->Take();
  }
  if (!response) {
    at_end_ = true;
    return nullptr;
  }
  const bool last = response->is_last;
  Take(std::move(*response));
  ++position_;
  if (last) CleanUp();
  return responses_.back();
}

void ResponseIterator::Restart() {
  if (!at_end_) return;
  at_end_ = false;
  position_ = 0;
}

void ResponseIterator::Cancel() {
  if (!stream_) return;
  const WithoutGil release;
  stub_->link().CancelBls(id_);
}

void PushReceiver::Start(std::function<Readiness()> is_ready) {
  is_ready_ = std::move(is_ready);
  thread_ = std::thread([this] { Run(); });
}

void PushReceiver::Stop() {
  if (!thread_.joinable()) return;
  stub_->link().StopPushes();
  thread_.join();
}

void PushReceiver::Run() {
  for (;;) {
    Handle handle = 0;
    try {
      handle = stub_->link().NextPush();
    } catch (const std::exception& error) {
      stub_->GiveUp(error.what());
    }
    if (handle == 0) return;
    try {
      Dispatch(handle);
    } catch (const std::exception& error) {
      // An exception here must not end the process: the message is lost, the model lives on.
      WB_STUB_LOG(*stub_, LogLevel::kError, std::string("a message of the parent was lost: ") + error.what());
    }
  }
}

void PushReceiver::Dispatch(Handle handle) {
  const Envelope envelope = Envelope::Load(stub_->pool(), stub_->release(), handle);
  switch (envelope.command()) {
    case Command::kInferStreamExecResponse:
      TakeStreamResponse(envelope);
      break;
    case Command::kCudaPoolInitialize:
      RefuseCudaPool(envelope);
      break;
    case Command::kUserReadiness:
      // The model's function may take seconds, and this thread also carries BLS responses.
      std::thread([this, handle, held = std::make_shared<Ref>(stub_->pool()->Load(handle))] {
        try {
          AnswerReadiness(handle);
        } catch (const std::exception& error) {
          WB_STUB_LOG(*stub_, LogLevel::kError, std::string("a readiness answer was lost: ") + error.what());
        }
      }).detach();
      break;
    default:
      WB_STUB_LOG(*stub_, LogLevel::kError,
                  "unexpected message " + std::string(Name(envelope.command())) + " from the parent");
  }
}

void PushReceiver::TakeStreamResponse(const Envelope& envelope) {
  Pool* pool = stub_->pool();
  const Release& release = stub_->release();
  auto* turn = pool->At<wire::ResponseBatch>(envelope.args());
  const ResponseBatchValue batch = ReadResponseBatch(pool, release, envelope.args());
  ResponseValue response;
  if (!batch.responses.empty() && batch.responses.front() != 0) {
    response = ReadResponse(stub_->link().pool(), release, batch.responses.front());
  }
  if (batch.has_error) response.error = ErrorValue{ErrorCode::kInternal, batch.error};
  {
    SharedLock lock(envelope.mutex());
    turn->waiting_on_stub = true;
    pthread_cond_broadcast(envelope.condition());
  }
  // Only now: whoever reads the last response sends the clean-up, which must not overtake the answer above.
  if (response.id != 0) stub_->streams().Deliver(std::move(response));
}

void PushReceiver::RefuseCudaPool(const Envelope& envelope) {
  // No CUDA here: both sides then fall back to handles of single allocations, as the protocol has it.
  Pool* pool = stub_->pool();
  auto* message = pool->At<wire::CudaPool>(envelope.args());
  HeldRefs keep(pool);
  const Handle error = WriteString(pool, "this stub uses no CUDA driver", keep.get());
  SharedLock lock(envelope.mutex());
  message->error = error;
  message->is_error_set = true;
  message->has_error = true;
  message->waiting_on_stub = true;
  pthread_cond_broadcast(envelope.condition());
  Await(envelope.condition(), envelope.mutex(), Watch{}, "the parent",
        [&] { return !message->waiting_on_stub; });
}

void PushReceiver::AnswerReadiness(Handle handle) {
  Pool* pool = stub_->pool();
  const Envelope envelope = Envelope::Load(pool, stub_->release(), handle);
  auto* message = pool->At<wire::UserReadiness>(envelope.args());
  const Ref payload = pool->Load(envelope.args());
  const Readiness readiness = is_ready_();
  HeldRefs keep(pool);
  const Handle error = readiness.error.empty() ? 0 : WriteString(pool, readiness.error, keep.get());
  SharedLock lock(envelope.mutex());
  message->is_ready = readiness.is_ready;
  message->function_exists = true;
  message->has_error = error != 0;
  message->is_error_set = error != 0;
  message->error = error;
  message->waiting_on_stub = true;
  pthread_cond_broadcast(envelope.condition());
  Watch watch;
  watch.deadline = Deadline::AfterSeconds(5);
  try {
    Await(envelope.condition(), envelope.mutex(), watch, "the parent",
          [&] { return !message->waiting_on_stub; });
  } catch (const TimedOut&) {
    // The parent gave up on this query; the answer stays in the message for its next one, but not the text,
    // which goes with this call.
    message->is_error_set = false;
    message->error = 0;
  }
}

}  // namespace wb
