#include "runtime/response_sender.hpp"

#include "codec/response.hpp"
#include "runtime/without_gil.hpp"

namespace wb {

ResponseSender::ResponseSender(Stub* stub, Identity identity) : stub_(stub), identity_(std::move(identity)) {}

ResponseSender::~ResponseSender() { DropFactory(); }

void ResponseSender::DropFactory() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (factory_settled_ || identity_.factory == 0) return;
    factory_settled_ = true;
  }
  // In the background: destructors run on any thread, with the GIL, and the parent's answer takes a while.
  stub_->jobs().Push([stub = stub_, factory = identity_.factory] {
    stub->link().Cleanup(Command::kResponseFactoryCleanup, static_cast<std::uint64_t>(factory));
  });
}

template <typename Work>
void ResponseSender::OrReopen(bool response, std::uint32_t flags, Work work) {
  try {
    work();
  } catch (const PoolExhausted&) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (response) --responses_sent_;
    if (flags == kResponseFinal) closed_ = false;
    throw;
  }
}

void ResponseSender::Send(const std::shared_ptr<PyResponse>& response, std::uint32_t flags) {
  if (flags != 0 && flags != kResponseFinal) {
    throw ModelException("Unable to send response. Unsupported flag provided.");
  }
  if (flags == 0 && !response) {
    throw ModelException(
        "Inference Response object must be provided when the response flags is set to zero.");
  }
  if (identity_.request == 0 && identity_.factory == 0) {
    throw ModelException(
        "Unable to send response. Response sender has no reference to the decoupled state of the model.");
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!stub_->decoupled()) {
      if (response && responses_sent_ > 0) {
        throw ModelException(
            "Unable to send response. Non-decoupled model cannot send more than one response.");
      }
      if (!response && flags == kResponseFinal && responses_sent_ == 0 && !closed_) {
        throw ModelException(
            "Unable to send response. Non-decoupled model cannot send complete final before sending a "
            "response.");
      }
    }
    if (closed_) throw ModelException("Unable to send response. Response sender has been closed.");
    if (response) ++responses_sent_;
    if (flags == kResponseFinal) closed_ = true;
  }
  if (response) response->Prune(identity_.requested_outputs);
  const WithoutGil release;
  HeldRefs keep(stub_->pool());
  try {
    OrReopen(response != nullptr, flags, [&] {
      Transmit(response ? response->Save(stub_->pool(), stub_->release(), keep.get()) : 0, flags);
    });
  } catch (const Error& error) {
    throw ModelException(error.what());
  }
}

void ResponseSender::Transmit(Handle response, std::uint32_t flags) {
  stub_->link().SendResponse(identity_.request, identity_.factory, response, flags);
  if (flags != kResponseFinal) return;
  if (stub_->release().services_on_s2p) {
    std::lock_guard<std::mutex> lock(mutex_);
    factory_settled_ = true;  // the parent deletes it itself after a final flag
  } else {
    DropFactory();
  }
}

void ResponseSender::SendReturned(Handle response) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    ++responses_sent_;
  }
  OrReopen(true, kResponseFinal, [&] { Transmit(response, kResponseFinal); });
}

void ResponseSender::FailIfOpen(const std::string& message) {
  bool has_its_response = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return;
    closed_ = true;
    has_its_response = !stub_->decoupled() && responses_sent_ > 0;
    ++responses_sent_;
  }
  if (has_its_response) return Transmit(0, kResponseFinal);
  ResponseValue value;
  value.error = ErrorValue{ErrorCode::kInternal, message};
  HeldRefs keep(stub_->pool());
  Transmit(WriteResponse(stub_->pool(), stub_->release(), value, keep.get()), kResponseFinal);
}

void ResponseSender::CloseByParent() {
  std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  if (stub_->release().services_on_s2p)
    factory_settled_ = true;  // before, only a clean-up message deletes it
}

bool ResponseSender::closed() {
  std::lock_guard<std::mutex> lock(mutex_);
  return closed_;
}

int ResponseSender::responses_sent() {
  std::lock_guard<std::mutex> lock(mutex_);
  return responses_sent_;
}

bool ResponseSender::IsCancelled() {
  if (cancelled_) return true;
  if (identity_.request == 0 && identity_.factory == 0) return false;
  if (!stub_->services_up()) {
    WB_STUB_LOG(*stub_, LogLevel::kError, "Cannot communicate with parent service");
    return false;
  }
  const WithoutGil release;
  if (stub_->link().IsCancelled(identity_.factory, identity_.request)) cancelled_ = true;
  return cancelled_;
}

}  // namespace wb
