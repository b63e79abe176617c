#include "runtime/model_instance.hpp"

#include <pybind11/stl.h>

#include <optional>

#include "runtime/backend_utils.hpp"
#include "runtime/model_line.hpp"
#include "runtime/python_error.hpp"
#include "runtime/without_gil.hpp"

namespace wb {

namespace {

constexpr const char* kClass = "TritonPythonModel";
constexpr const char* kModelExtension = ".py";

// Tells the trace of a batch that it is over, however it ends.
class TracedBatch {
 public:
  TracedBatch(Stub* stub, const std::vector<std::shared_ptr<PyRequest>>& requests) : stub_(stub) {
    std::vector<TraceValue> traces;
    traces.reserve(requests.size());
    for (const auto& each : requests) traces.push_back(each->value().trace);
    stub->trace().BeginBatch(traces, stub->decoupled());
    for (const auto& each : requests) stub->trace().AddInputs(each->inputs());
  }
  ~TracedBatch() { stub_->trace().EndBatch(error_); }
  TracedBatch(const TracedBatch&) = delete;
  TracedBatch& operator=(const TracedBatch&) = delete;
  void set_error(const std::string& error) { error_ = error; }

 private:
  Stub* stub_;
  std::string error_;
};

template <typename Call>
auto Translate(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const py::error_already_set& error) {
    throw ModelError(FailureText(ExceptionOf(error)));
  }
}

std::string TypeText(const py::handle& object) { return py::str(py::type::of(object)).cast<std::string>(); }

}  // namespace

void ModelInstance::Import() {
  const Options& options = stub_->options();
  Translate([&] {
    const py::object path = py::module_::import("sys").attr("path");
    if (options.is_python_based()) {
      path.attr("append")(options.runtime_model_dir);
    } else {
      path.attr("append")(options.version_dir);
      path.attr("append")(options.model_dir);
    }
    path.attr("append")(options.python_lib);
    std::string module = "model";
    if (!options.is_python_based()) {
      const std::string file = options.model_file.substr(options.model_file.rfind('/') + 1);
      const auto stem_length = file.size() - std::string(kModelExtension).size();
      if (file.size() <= std::string(kModelExtension).size() || file.substr(stem_length) != kModelExtension) {
        throw ModelError("Model name must end with '.py'. Model name is \"" + file + "\".");
      }
      module = options.version + "." + file.substr(0, stem_length);
    }
    const py::module_ model = py::module_::import(module.c_str());
    if (py::hasattr(model, "__file__")) SetModelFile(py::str(model.attr("__file__")).cast<std::string>());
    utils_ = py::module_::import("triton_python_backend_utils");
    GraftBackendUtils(utils_, stub_);
    model_class_ = model.attr(kClass);
  });
}

std::string ModelInstance::AutoComplete(const std::string& config_json) {
  return Translate([&]() -> std::string {
    if (!py::hasattr(model_class_, "auto_complete_config")) return config_json;
    const py::object config_class = utils_.attr("ModelConfig");
    const py::object config = model_class_.attr("auto_complete_config")(config_class(config_json));
    if (!py::isinstance(config, config_class)) {
      throw ModelError("auto_complete_config function in model '" + stub_->options().name +
                       "' must return a valid pb.ModelConfig object.");
    }
    return py::module_::import("json").attr("dumps")(config.attr("_model_config")).cast<std::string>();
  });
}

void ModelInstance::Construct() {
  Translate([&] { model_ = model_class_(); });
}

void ModelInstance::Initialize(const std::map<std::string, std::string>& args) {
  Translate([&] {
    if (py::hasattr(model_, "initialize")) model_.attr("initialize")(args);
  });
}

bool ModelInstance::has_is_ready() { return py::hasattr(model_, "is_ready"); }

PushReceiver::Readiness ModelInstance::IsReady() {
  PushReceiver::Readiness readiness;
  const py::object model = model_;  // which may be dropped meanwhile
  if (!model) {
    readiness.error = "the model has ended";
    return readiness;
  }
  try {
    py::object result = model.attr("is_ready")();
    if (EventLoop::IsCoroutine(result)) result = loop_.Run(result);
    if (!PyBool_Check(result.ptr())) {
      readiness.error = "is_ready() must return a boolean value";
    } else {
      readiness.is_ready = result.cast<bool>();
    }
  } catch (const py::error_already_set& error) {
    readiness.error = WireText(ExceptionOf(error));
  }
  return readiness;
}

ResponseBatchValue ModelInstance::Fail(const std::string& detail, const Requests& requests) {
  ResponseBatchValue batch;
  batch.has_error = true;
  batch.error =
      "Failed to process the request(s) for model '" + stub_->options().name + "', message: " + detail;
  WB_STUB_LOG(*stub_, LogLevel::kError, batch.error);
  for (const auto& request : requests) {
    if (request->sender()->closed()) batch.factories_deleted = true;
  }
  if (batch.factories_deleted) {
    // The parent takes this flag for the whole batch: it answers none of it then, so the open ones are
    // answered here.
    const WithoutGil release;
    for (const auto& request : requests) request->sender()->FailIfOpen(batch.error);
  }
  for (const auto& request : requests) request->sender()->CloseByParent();
  return batch;
}

py::object ModelInstance::CallExecute(const py::list& requests) {
  if (!py::hasattr(model_, "execute")) {
    throw ModelError("Python model " + stub_->options().model_path + " does not implement `execute` method.");
  }
  return Translate([&] { return model_.attr("execute")(requests); });
}

void ModelInstance::Background(const py::object& coroutine, const Requests& requests) {
  const py::object future = loop_.Submit(coroutine);
  // The exception has nowhere else to go: it is logged, and requests still open get it as their end.
  future.attr("add_done_callback")(py::cpp_function([this, requests](const py::object& done) {
    if (done.attr("cancelled")().cast<bool>()) return;
    const py::object exception = done.attr("exception")();
    if (exception.is_none()) return;
    WB_STUB_LOG(*stub_, LogLevel::kError, TracebackText(exception));
    const std::string text = "Failed to process the request(s) for model '" + stub_->options().name +
                             "', message: " + FailureText(exception);
    const WithoutGil release;
    for (const auto& request : requests) {
      try {
        request->sender()->FailIfOpen(text);
      } catch (const Error& error) {
        WB_STUB_LOG(*stub_, LogLevel::kError, error.what());
      }
    }
  }));
}

void ModelInstance::CheckReturned(const py::object& returned, const Requests& requests) {
  if (!PyList_Check(returned.ptr())) {
    throw ModelError("Expected a list in the execute return, found type '" + TypeText(returned) + "'.");
  }
  const auto responses = returned.cast<py::list>();
  if (responses.size() != requests.size()) {
    throw ModelError(
        "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
        "InferenceRequest(s) "
        "size is:" +
        std::to_string(requests.size()) +
        ", and InferenceResponse(s) size is:" + std::to_string(responses.size()) + "\n");
  }
  for (std::size_t i = 0; i < responses.size(); ++i) {
    const py::handle entry = responses[i];
    if (requests[i]->rescheduled()) {
      if (!entry.is_none()) {
        throw ModelError(
            "Expected a None object in the execute function return list for reschduled request, found type "
            "'" +
            TypeText(entry) + "'.");
      }
    } else if (!entry.is_none() && !py::isinstance<PyResponse>(entry)) {
      throw ModelError(
          "Expected an 'InferenceResponse' object in the execute function return list, found type '" +
          TypeText(entry) + "'.");
    }
  }
}

ResponseBatchValue ModelInstance::Answer(const py::object& returned, const Requests& requests, Refs* keep) {
  ResponseBatchValue batch;
  const Release& release = stub_->release();
  const bool send_all = release.execute_path == ExecutePath::kSendAll;
  std::vector<std::shared_ptr<PyResponse>> responses(requests.size());
  if (!returned.is_none()) {
    CheckReturned(returned, requests);
    const auto list = returned.cast<py::list>();
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (!list[i].is_none()) responses[i] = list[i].cast<std::shared_ptr<PyResponse>>();
    }
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto& sender = requests[i]->sender();
    if (!responses[i]) {
      // Nobody can answer this request any more: say so instead of leaving its client waiting for ever.
      if (sender->taken() || requests[i]->rescheduled() || sender->closed()) continue;
      responses[i] = std::make_shared<PyResponse>(ResponseValue{
          {},
          ErrorValue{ErrorCode::kInternal, "execute of model '" + stub_->options().name +
                                               "' returned no response for request " + std::to_string(i + 1) +
                                               " of " + std::to_string(requests.size()) +
                                               " and took no response sender for it"},
          "",
          0,
          true});
    } else if (sender->responses_sent() > 0) {
      // The client has its response already, and the rest of the batch is not to blame.
      WB_STUB_LOG(
          *stub_, LogLevel::kError,
          "Failed to process the request(s) for model '" + stub_->options().name +
              "', message: Unable to send response. Non-decoupled model cannot send more than one response.");
      responses[i] = nullptr;
      continue;
    }
    const auto& names = requests[i]->value().requested_outputs;
    responses[i]->Prune({names.begin(), names.end()});
    stub_->trace().AddOutputs(i, responses[i]->tensors());
  }
  {
    const WithoutGil release_gil;
    batch.responses.assign(requests.size(), 0);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (!responses[i]) continue;
      const Handle handle = responses[i]->Save(stub_->pool(), release, keep);
      if (send_all) {
        requests[i]->sender()->SendReturned(handle);
      } else {
        batch.responses[i] = handle;
        requests[i]->sender()->CloseByParent();
      }
    }
    if (send_all) batch.responses.clear();
  }
  return batch;
}

ResponseBatchValue ModelInstance::Execute(const std::vector<Handle>& handles, Refs* keep) {
  Requests requests;
  py::list list;
  std::optional<TracedBatch> traced;
  try {
    {
      Pool::Guard guard(stub_->pool());
      for (const Handle handle : handles) requests.push_back(std::make_shared<PyRequest>(stub_, handle));
    }
    for (const auto& request : requests) list.append(request);
    traced.emplace(stub_, requests);
    py::object returned = CallExecute(list);
    const bool is_coroutine = EventLoop::IsCoroutine(returned);
    ResponseBatchValue batch;
    if (stub_->decoupled()) {
      if (is_coroutine) {
        Background(returned, requests);
      } else if (!returned.is_none()) {
        throw ModelError("Python model '" + stub_->options().name +
                         "' is using the decoupled mode and the execute function must return None.");
      }
    } else {
      if (is_coroutine) returned = Translate([&] { return loop_.Run(returned); });
      batch = Answer(returned, requests, keep);
    }
    for (const auto& request : requests) request->EndOfBatch();
    return batch;
  } catch (const ModelError& error) {
    if (traced) traced->set_error(error.what());
    for (const auto& request : requests) request->EndOfBatch();
    return Fail(error.what(), requests);
  } catch (const RegionBroken&) {
    throw;
  } catch (const Error& error) {
    if (traced) traced->set_error(error.what());
    for (const auto& request : requests) request->EndOfBatch();
    return Fail(error.what(), requests);
  }
}

void ModelInstance::Finalize() {
  try {
    loop_.Stop();
    if (model_ && py::hasattr(model_, "finalize")) model_.attr("finalize")();
  } catch (const py::error_already_set& error) {
    WB_STUB_LOG(*stub_, LogLevel::kInfo, WireText(ExceptionOf(error)));
  }
}

void ModelInstance::Drop() {
  // Out of the members first: what dies here may look at them.
  const py::object gone[] = {std::move(model_), std::move(model_class_), std::move(utils_)};
}

}  // namespace wb
