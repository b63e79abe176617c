#include "host/bls_call.hpp"

#include <utility>

#include "codec/request.hpp"
#include "codec/response.hpp"
#include "protocol/error.hpp"
#include "shm/note.hpp"

namespace wb {

BlsCall::BlsCall(std::shared_ptr<Link> link, Envelope request)
    : link_(std::move(link)),
      message_(std::move(request)),
      decoupled_(message_.command() == Command::kInferStreamExecRequest),
      batch_(link_->batch()) {}

std::shared_ptr<BlsCall> BlsCall::Take(std::shared_ptr<Link> link, Envelope request) {
  if (!request.has_reply_slot())
    throw RegionBroken("a call to another model came without a place for its answer");
  std::shared_ptr<BlsCall> call(new BlsCall(std::move(link), std::move(request)));
  call->link_->CallBegins();
  // Whose stub leaves notes says which line of the model asks.
  const Handle handle = call->message_.handle();
  if (const auto note = ReadNote(*reinterpret_cast<const wire::Ownership*>(
          call->link_->pool()->At(handle, 0) - wire::kOwnershipHeader));
      note && note->origin == Origin::kBlsRequest) {
    call->line_ = note->line;
  }
  call->for_request_ = call->link_->requests().OnlyKey();
  // Single calls have no id: theirs must be null on the wire, and they cannot be cancelled.
  if (call->decoupled_) call->id_ = call->link_->AddCall(call);
  return call;
}

BlsCall::~BlsCall() {
  SendError("the call was dropped without a final response");
  if (id_ != 0) link_->ForgetCall(id_);
}

void BlsCall::Read() {
  const auto requests = ReadRequestBatch(link_->pool(), message_.args());
  if (requests.size() != 1) throw RegionBroken("a call to another model has to consist of one request");
  request_ = ReadRequest(link_->shared_pool(), requests[0]);
  std::optional<CallSite> site;
  if (IsCallSite(request_.trace.trace)) {
    site = UnpackCallSite(request_.trace.trace);
    request_.trace.trace = 0;
  }
  TellCall(site ? &*site : nullptr);
}

void BlsCall::TellCall(const CallSite* site) {
  const auto& tap = link_->tap();
  if (!tap || !tap->enabled()) return;
  TapEvent event;
  event.kind = TapKind::kCall;
  event.span = span_;
  event.parent = batch_;
  event.time = arrived_;
  event.decoupled = decoupled_;
  event.name = request_.model_name;
  if (site) {
    event.line = site->line;
    event.order = site->order;
    event.form = site->async ? CallForm::kAsyncExec : CallForm::kExec;
  }
  tap->Record(event, request_.inputs);
}

void BlsCall::TellReply(const ResponseValue& response) {
  const auto& tap = link_->tap();
  if (!tap || !tap->enabled()) return;
  TapEvent event;
  event.kind = TapKind::kReply;
  event.span = span_;
  event.final = response.is_last;
  event.error = response.error.has_value();
  if (response.error) event.text = response.error->message;
  tap->Record(event, response.outputs);
}

void BlsCall::Send(ResponseValue response, bool final) {
  link_->Explain([&] { SendNow(std::move(response), final); });
}

void BlsCall::SendNow(ResponseValue response, bool final) {
  const std::lock_guard lock(mutex_);
  if (final_sent_) throw Error("the final response of this call was sent already");
  if (!decoupled_ && !final) {
    throw Error("a call made without decoupled=True takes exactly one response, and that is final");
  }
  link_->CheckFault();
  if (link_->closing()) throw PeerGone(link_->NotHealthyText());
  link_->retained().Sweep();
  const NoteScope note(Origin::kBlsResponse, line_, for_request_);
  response.id = id_;
  response.is_last = final;
  Parcel parcel;
  const Handle handle = WriteResponse(link_->pool(), link_->release(), response, &parcel.refs);
  TellReply(response);  // before its model can go on
  if (final && !std::exchange(ended_, true)) link_->CallEnds();
  if (first_sent_) {
    SendNext(handle, std::move(parcel));
  } else {
    SendFirst(handle, std::move(parcel));
    first_sent_ = true;
  }
  final_sent_ = final;
}

// Pattern C. The waiting thread reads the answer through its own message and lets go of that last.
void BlsCall::SendFirst(Handle response, Parcel parcel) {
  Pool* pool = link_->pool();
  ResponseBatchValue batch;
  batch.responses.push_back(response);
  {
    Pool::Guard guard(pool);
    const Handle args = WriteResponseBatch(pool, link_->release(), batch, &parcel.refs);
    parcel.envelopes.push_back(
        Envelope::Create(pool, link_->release(), Command::kInferExecResponse, args, false));
  }
  message_.set_response_handle(parcel.envelopes.back().handle());
  {
    // The other side holds this mutex from before its push until it waits: the notification cannot come too
    // early.
    const LinkLock lock(link_.get(), message_.mutex());
    pthread_cond_broadcast(message_.condition());
  }
  const Handle request = message_.handle();
  parcel.envelopes.push_back(std::move(message_));
  link_->retained().Keep(std::move(parcel), [pool, request] { return pool->Count(request) == 1; });
}

// Pattern D.
void BlsCall::SendNext(Handle response, Parcel parcel) {
  Pool* pool = link_->pool();
  ResponseBatchValue batch;
  batch.responses.push_back(response);
  Handle args = 0;
  {
    Pool::Guard guard(pool);
    args = WriteResponseBatch(pool, link_->release(), batch, &parcel.refs);
    parcel.envelopes.push_back(
        Envelope::Create(pool, link_->release(), Command::kInferStreamExecResponse, args, true));
  }
  const Handle message = parcel.envelopes.back().handle();
  // Kept before it is pushed: if the push fails half-way, the other side may still read it.
  const volatile bool* taken = &pool->At<wire::ResponseBatch>(args)->waiting_on_stub;
  link_->retained().Keep(std::move(parcel), [taken] { return *taken; });
  link_->Push(&link_->parent_to_stub(), message);
}

void BlsCall::SendError(const std::string& text, ErrorCode code) noexcept {
  try {
    {
      const std::lock_guard lock(mutex_);
      if (final_sent_) return;
    }
    ResponseValue response;
    response.error = ErrorValue{code, text};
    Send(std::move(response), true);
  } catch (const std::exception&) {  // nobody is left to be told
  }
}

}  // namespace wb
