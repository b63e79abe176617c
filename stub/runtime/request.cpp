#include "runtime/request.hpp"

#include "codec/request.hpp"
#include "runtime/model_line.hpp"
#include "runtime/without_gil.hpp"
#include "shm/note.hpp"

namespace wb {

PyRequest::PyRequest(Stub* stub, Handle handle)
    : stub_(stub), object_(stub->pool()->Load(handle)), given_(true), in_batch_(true) {
  value_ = ReadRequest(stub->link().pool(), handle);
  for (TensorValue& input : value_.inputs) inputs_.push_back(PyTensor::FromValue(std::move(input)));
  value_.inputs.clear();
  ResponseSender::Identity identity;
  identity.request = value_.address;
  identity.factory = value_.factory;
  identity.requested_outputs = {value_.requested_outputs.begin(), value_.requested_outputs.end()};
  sender_ = std::make_shared<ResponseSender>(stub, std::move(identity));
}

PyRequest::PyRequest(Stub* stub, RequestValue value, std::vector<std::shared_ptr<PyTensor>> inputs)
    : stub_(stub), value_(std::move(value)), inputs_(std::move(inputs)) {
  const auto where = " for request with id '" + value_.id + "' and model name '" + value_.model_name +
                     "' should not be empty.";
  for (const auto& input : inputs_) {
    if (!input) throw ModelException("Input tensor" + where);
  }
  for (const std::string& name : value_.requested_outputs) {
    if (name.empty()) throw ModelException("Requested output name" + where);
  }
  sender_ = std::make_shared<ResponseSender>(stub, ResponseSender::Identity{});
  NoteLine();
}

void PyRequest::NoteLine() {
  if (const std::uint32_t line = ModelLine()) line_ = line;
}

bool PyRequest::IsCancelled() { return given_ && sender_->IsCancelled(); }

void PyRequest::SetReleaseFlags(std::uint32_t flags) {
  if (flags != kReleaseAll && flags != kReleaseReschedule) {
    throw ModelException("Unable to set release flags. Unsupported flag provided.");
  }
  if (!given_) throw ModelException("Unable to set release flags of a request that this model made itself.");
  if (!in_batch_) {
    if (flags == kReleaseAll) return;
    throw ModelException("Unable to reschedule a request after 'execute' has returned.");
  }
  WriteReleaseFlags(stub_->pool(), object_.handle(), flags);
}

bool PyRequest::rescheduled() const {
  return given_ && ReadReleaseFlags(stub_->pool(), object_.handle()) == kReleaseReschedule;
}

ResponseValue PyRequest::Infer(Command command, const ModelCall& call) {
  if (stub_->phase() != Phase::kServing) {
    throw ModelException("BLS is only supported during the 'execute' function.");
  }
  NoteLine();
  RequestValue request = value_;
  request.address = 0;
  request.factory = 0;
  stub_->trace().Stamp(&request, call);
  const WithoutGil release;
  const NoteScope note(Origin::kBlsRequest, line_);
  HeldRefs keep(stub_->pool());
  try {
    for (const auto& input : inputs_) {
      input->Save(stub_->pool(), keep.get());
      request.inputs.push_back(input->value());
    }
    return stub_->link().Infer(command, request);
  } catch (const RegionBroken&) {
    throw;
  } catch (const Error& error) {
    // A call that cannot even be made is answered like one that failed: BLS errors never raise.
    ResponseValue failed;
    failed.error = ErrorValue{ErrorCode::kInternal, error.what()};
    return failed;
  }
}

std::shared_ptr<PyResponse> PyRequest::Exec(const ModelCall& call) {
  const auto record = stub_->trace().Record(call, value_, inputs_, false);
  auto response = std::make_shared<PyResponse>(Infer(Command::kInferExecRequest, call));
  if (record) {
    record->Add(*response);
    record->End();
  }
  return response;
}

std::shared_ptr<ResponseIterator> PyRequest::ExecDecoupled(const ModelCall& call) {
  auto record = stub_->trace().Record(call, value_, inputs_, true);
  return std::make_shared<ResponseIterator>(stub_, Infer(Command::kInferStreamExecRequest, call),
                                            std::move(record));
}

}  // namespace wb
