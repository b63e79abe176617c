// What a stub tells of the calls its model makes, if whoever started it asks for that (kTraceVariable): to
// our host the line of each call; under another parent, that traces requests itself, a record of each traced
// batch and call, one line of JSON, in a file of a folder. Everything here is called with the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "codec/values.hpp"
#include "protocol/call_site.hpp"
#include "runtime/response.hpp"

namespace wb {

using PyTensors = std::vector<std::shared_ptr<PyTensor>>;

// One call about to be made.
struct ModelCall {
  CallSite site;
  std::thread::id thread;  // where the model asked for it
};

class CallTrace;

// A call on its way, to be written down when it has ended.
class CallRecord {
 public:
  CallRecord(CallTrace* trace, const ModelCall& call, const RequestValue& request, PyTensors inputs,
             bool decoupled);
  void Add(const PyResponse& response);
  // Once; later ones do nothing.
  void End();

 private:
  CallTrace* trace_;
  ModelCall call_;
  std::string model_;
  PyTensors inputs_;
  bool decoupled_;
  std::string context_;  // of the request that the model was executing
  std::int64_t start_;
  int responses_ = 0;
  PyTensors outputs_;
  std::string error_;
  bool failed_ = false;
  bool ended_ = false;
};

class CallTrace {
 public:
  CallTrace();

  void set_model(const std::string& name) { model_ = name; }

  // Where the model is now.
  ModelCall Here(bool async);
  // What the call's request carries of it.
  void Stamp(RequestValue* request, const ModelCall& call) const;
  // Null if this call is not to be written down.
  std::unique_ptr<CallRecord> Record(const ModelCall& call, const RequestValue& request,
                                     const PyTensors& inputs, bool decoupled);

  // A batch, from before execute until its answer is made.
  void BeginBatch(const std::vector<TraceValue>& traces, bool decoupled);
  void AddInputs(const PyTensors& inputs);
  void AddOutputs(std::size_t request, const PyTensors& outputs);
  void EndBatch(const std::string& error);
  const std::string& context() const { return inherited_.context; }

  // Never throws: a model goes on without its records.
  void Write(const pybind11::dict& record) noexcept;

 private:
  bool writes() const { return !folder_.empty(); }

  std::string model_;
  bool for_host_ = false;
  std::string folder_;  // empty: no records
  int file_ = -1;
  std::uint32_t order_ = 0;

  std::vector<TraceValue> traces_;
  TraceValue inherited_;  // of the batch's first traced request; kept for calls that come after it
  bool executing_ = false;
  bool traced_ = false;
  bool decoupled_ = false;
  std::thread::id thread_;
  std::int64_t start_ = 0;
  std::vector<PyTensors> inputs_;
  std::vector<PyTensors> outputs_;
};

}  // namespace wb
