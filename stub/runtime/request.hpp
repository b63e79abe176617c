// What a model knows as pb_utils.InferenceRequest: one it was given, or one it made for a BLS call.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/bls.hpp"
#include "runtime/response_sender.hpp"
#include "runtime/stub.hpp"
#include "runtime/tensor.hpp"

namespace wb {

class PyRequest {
 public:
  // A request of the batch that lies at `handle`; takes references.
  PyRequest(Stub* stub, Handle handle);
  // Made by the model. Throws ModelException.
  PyRequest(Stub* stub, RequestValue value, std::vector<std::shared_ptr<PyTensor>> inputs);

  const RequestValue& value() const { return value_; }
  RequestValue& value() { return value_; }
  const std::vector<std::shared_ptr<PyTensor>>& inputs() const { return inputs_; }
  const std::shared_ptr<ResponseSender>& sender() const { return sender_; }

  bool IsCancelled();
  void SetReleaseFlags(std::uint32_t flags);
  bool rescheduled() const;
  // The batch is over: the parent has read the release flags.
  void EndOfBatch() { in_batch_ = false; }

  // The line that runs now is the one the call belongs to; where no line of the model runs, the last one was.
  void NoteLine();

  // BLS, with the GIL. Throws ModelException where BLS is not allowed (pb_utils.md §4.5).
  std::shared_ptr<PyResponse> Exec(const ModelCall& call);
  std::shared_ptr<ResponseIterator> ExecDecoupled(const ModelCall& call);
  Stub* stub() const { return stub_; }

 private:
  ResponseValue Infer(Command command, const ModelCall& call);

  Stub* stub_;
  RequestValue value_;  // without inputs
  std::vector<std::shared_ptr<PyTensor>> inputs_;
  std::uint32_t line_ = 0;  // of model.py, where the model made it, then where it sent it
  Ref object_;              // of a given request: its release flags lie there
  bool given_ = false;
  bool in_batch_ = false;
  std::shared_ptr<ResponseSender> sender_;
};

}  // namespace wb
