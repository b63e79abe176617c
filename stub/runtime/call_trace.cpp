#include "runtime/call_trace.hpp"

#include <fcntl.h>
#include <pybind11/stl.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "bindings/lenient_text.hpp"
#include "runtime/model_line.hpp"

namespace wb {

namespace {

// The wall clock: what other processes write down is put in order with it.
std::int64_t WallNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

py::list Describe(const PyTensors& tensors) {
  py::list list;
  for (const auto& each : tensors) {
    list.append(py::make_tuple(each->name(), static_cast<int>(each->dtype()), py::cast(each->dims()),
                               each->value().byte_size));
  }
  return list;
}

}  // namespace

CallRecord::CallRecord(CallTrace* trace, const ModelCall& call, const RequestValue& request, PyTensors inputs,
                       bool decoupled)
    : trace_(trace),
      call_(call),
      model_(request.model_name),
      inputs_(std::move(inputs)),
      decoupled_(decoupled),
      context_(trace->context()),
      start_(WallNow()) {}

void CallRecord::Add(const PyResponse& response) {
  if (response.error()) {
    failed_ = true;
    error_ = response.error()->message;
  } else if (!response.tensors().empty()) {
    if (responses_ == 0) outputs_ = response.tensors();
    ++responses_;
  }
}

void CallRecord::End() {
  if (std::exchange(ended_, true)) return;
  try {
    py::dict record;
    record["kind"] = "call";
    record["start"] = start_;
    record["end"] = WallNow();
    record["context"] = context_;
    record["model"] = model_;
    record["how"] = call_.site.async ? "async_exec" : "exec";
    record["decoupled"] = decoupled_;
    record["line"] = call_.site.line;
    record["order"] = call_.site.order;
    record["inputs"] = Describe(inputs_);
    record["outputs"] = Describe(outputs_);
    record["responses"] = responses_;
    record["error"] = failed_ ? LenientText(error_) : py::object(py::none());
    trace_->Write(record);
  } catch (const std::exception&) {  // a model goes on without its records
  }
}

CallTrace::CallTrace() {
  const char* wanted = std::getenv(kTraceVariable);
  const std::string text = wanted ? wanted : "";
  for_host_ = text == kCallSitesWanted;
  if (text.rfind('/', 0) == 0) folder_ = text;
}

ModelCall CallTrace::Here(bool async) {
  ModelCall call;
  call.thread = std::this_thread::get_id();
  call.site.async = async;
  if (!for_host_ && !writes()) return call;
  call.site.order = ++order_;
  call.site.line = ModelLine();
  return call;
}

void CallTrace::Stamp(RequestValue* request, const ModelCall& call) const {
  if (for_host_) {
    request->trace.trace = PackCallSite(call.site);
  } else if (writes() && executing_ && request->trace.trace == 0 && (!decoupled_ || call.thread == thread_)) {
    // As if the model had passed request.trace() on. Only while the batch is being executed, since the
    // parent's object is gone afterwards; a decoupled model's other threads may live longer than that.
    request->trace = inherited_;
  }
}

std::unique_ptr<CallRecord> CallTrace::Record(const ModelCall& call, const RequestValue& request,
                                              const PyTensors& inputs, bool decoupled) {
  if (!writes() || inherited_.context.empty()) return nullptr;
  return std::make_unique<CallRecord>(this, call, request, inputs, decoupled);
}

void CallTrace::BeginBatch(const std::vector<TraceValue>& traces, bool decoupled) {
  if (!writes()) return;
  traces_ = traces;
  inherited_ = TraceValue();
  for (const TraceValue& each : traces) {
    if (inherited_.context.empty()) inherited_ = each;
  }
  executing_ = true;
  traced_ = !inherited_.context.empty();
  decoupled_ = decoupled;
  thread_ = std::this_thread::get_id();
  start_ = WallNow();
  inputs_.clear();
  outputs_.assign(traces.size(), {});
}

void CallTrace::AddInputs(const PyTensors& inputs) {
  if (traced_) inputs_.push_back(inputs);
}

void CallTrace::AddOutputs(std::size_t request, const PyTensors& outputs) {
  if (traced_ && request < outputs_.size()) outputs_[request] = outputs;
}

void CallTrace::EndBatch(const std::string& error) {
  executing_ = false;
  if (!std::exchange(traced_, false)) return;
  try {
    py::list requests;
    for (std::size_t i = 0; i < traces_.size(); ++i) {
      py::dict request;
      request["context"] = traces_[i].context;
      request["inputs"] = Describe(i < inputs_.size() ? inputs_[i] : PyTensors());
      request["outputs"] = Describe(outputs_[i]);
      requests.append(request);
    }
    py::dict record;
    record["kind"] = "execute";
    record["start"] = start_;
    record["end"] = WallNow();
    record["model"] = model_;
    record["requests"] = requests;
    record["error"] = error.empty() ? py::object(py::none()) : LenientText(error);
    Write(record);
  } catch (const std::exception&) {  // as above
  }
  inputs_.clear();
  outputs_.clear();
}

void CallTrace::Write(const py::dict& record) noexcept {
  std::string line;
  try {
    line = py::module_::import("json").attr("dumps")(record).cast<std::string>() + "\n";
  } catch (const std::exception&) {  // an error text that is no text
    return;
  }
  if (file_ < 0) {
    const std::string path = folder_ + "/" + std::to_string(getpid()) + ".jsonl";
    file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file_ < 0) {
      folder_.clear();  // whoever asked is gone
      return;
    }
  }
  if (write(file_, line.data(), line.size()) < 0) folder_.clear();
}

}  // namespace wb
