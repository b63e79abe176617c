// Bindings of requests, responses, senders and what belongs to them.
#include <pybind11/stl.h>

#include <variant>

#include "runtime/backend_utils.hpp"
#include "runtime/request.hpp"

namespace wb {

namespace {

struct PreferredMemory {
  std::int32_t type = kPreferredDefault;
  std::int64_t device = 0;
};

// Values of upstream's MemoryType: GPU first.
enum class PreferredType : std::int32_t { kGpu = 0, kCpu = 1 };

CorrelationId ToCorrelationId(const py::object& object) {
  CorrelationId id;
  if (py::isinstance<py::str>(object)) {
    id.is_text = true;
    id.text = object.cast<std::string>();
  } else if (py::isinstance<py::int_>(object)) {
    id.number = object.cast<std::uint64_t>();
  } else if (object.is_none()) {
    throw py::type_error("correlation_id must be an integer or a string, not None");
  } else {
    throw ModelException("Correlation ID must be integer or string");
  }
  return id;
}

py::object FromCorrelationId(const CorrelationId& id) {
  if (id.is_text) return py::str(id.text);
  return py::int_(id.number);
}

void BindErrors(py::module_& module) {
  py::class_<ErrorValue, std::shared_ptr<ErrorValue>> error(module, "TritonError");
  py::enum_<ErrorCode>(error, "__ErrorCode")
      .value("UNKNOWN", ErrorCode::kUnknown)
      .value("INTERNAL", ErrorCode::kInternal)
      .value("NOT_FOUND", ErrorCode::kNotFound)
      .value("INVALID_ARG", ErrorCode::kInvalidArg)
      .value("UNAVAILABLE", ErrorCode::kUnavailable)
      .value("UNSUPPORTED", ErrorCode::kUnsupported)
      .value("ALREADY_EXISTS", ErrorCode::kAlreadyExists)
      .value("CANCELLED", ErrorCode::kCancelled)
      .export_values();
  error
      .def(py::init([](const std::string& message, ErrorCode code) {
             return std::make_shared<ErrorValue>(ErrorValue{code, message});
           }),
           py::arg("message").none(false), py::arg("code").none(false) = ErrorCode::kInternal)
      .def("code", [](const ErrorValue& self) { return self.code; })
      .def("message", [](const ErrorValue& self) { return self.message; });
}

void BindMemory(py::module_& module) {
  py::enum_<PreferredType>(module, "MemoryType")
      .value("TRITONSERVER_MEMORY_GPU", PreferredType::kGpu)
      .value("TRITONSERVER_MEMORY_CPU", PreferredType::kCpu)
      .export_values();
  py::class_<PreferredMemory, std::shared_ptr<PreferredMemory>>(module, "PreferredMemory")
      .def(py::init([](PreferredType type, std::int64_t device) {
             return std::make_shared<PreferredMemory>(
                 PreferredMemory{static_cast<std::int32_t>(type), device});
           }),
           py::arg("preferred_memory_type").none(false), py::arg("preferred_device_id").none(false) = 0);
  py::class_<TraceValue, std::shared_ptr<TraceValue>>(module, "InferenceTrace")
      .def(py::init<>())
      .def("get_context", [](const TraceValue& trace) -> py::object {
        if (trace.context.empty()) return py::none();
        return py::str(trace.context);
      });
}

void BindResponse(py::module_& module, const Release& release) {
  py::class_<PyResponse, std::shared_ptr<PyResponse>> response(module, "InferenceResponse");
  using Tensors = std::vector<std::shared_ptr<PyTensor>>;
  if (release.has_response_parameters) {
    response
        .def(py::init([](Tensors tensors, std::shared_ptr<ErrorValue> error, const py::object& parameters) {
               return std::make_shared<PyResponse>(std::move(tensors), std::move(error), parameters);
             }),
             py::arg("output_tensors").none(false) = py::list(),
             py::arg("error") = std::shared_ptr<ErrorValue>(), py::arg("parameters") = py::none())
        .def("parameters", &PyResponse::parameters);
  } else {
    response.def(py::init([](Tensors tensors, std::shared_ptr<ErrorValue> error) {
                   return std::make_shared<PyResponse>(std::move(tensors), std::move(error), py::none());
                 }),
                 py::arg("output_tensors").none(false) = py::list(),
                 py::arg("error") = std::shared_ptr<ErrorValue>());
  }
  response.def("output_tensors", &PyResponse::tensors)
      .def("has_error", [](const PyResponse& self) { return self.error() != nullptr; })
      .def("error", &PyResponse::error);

  py::class_<ResponseSender, std::shared_ptr<ResponseSender>>(module, "InferenceResponseSender")
      .def("send", &ResponseSender::Send, py::arg("response") = std::shared_ptr<PyResponse>(),
           py::arg("flags") = 0)
      .def("is_cancelled", &ResponseSender::IsCancelled);

  py::class_<ResponseIterator, std::shared_ptr<ResponseIterator>> iterator(module, "ResponseIterator");
  iterator
      .def("__iter__",
           [](const std::shared_ptr<ResponseIterator>& self) {
             self->Restart();
             return self;
           })
      .def("__next__", [](ResponseIterator& self) {
        auto next = self.Next();
        if (!next) throw py::stop_iteration();
        return next;
      });
  if (release.has_cancel_bls) iterator.def("cancel", &ResponseIterator::Cancel);
}

py::object Call(PyRequest& request, bool decoupled, const ModelCall& call) {
  if (decoupled) return py::cast(request.ExecDecoupled(call));
  return py::cast(request.Exec(call));
}

py::object Exec(PyRequest& request, bool decoupled) {
  return Call(request, decoupled, request.stub()->trace().Here(false));
}

// The call blocks on a thread of the running loop's default executor.
py::object AsyncExec(const std::shared_ptr<PyRequest>& self, bool decoupled) {
  self->NoteLine();  // the thread of the call runs none of the model's
  const py::object loop = py::module_::import("asyncio").attr("get_running_loop")();
  const py::cpp_function call(
      [self, decoupled, where = self->stub()->trace().Here(true)] { return Call(*self, decoupled, where); });
  return loop.attr("run_in_executor")(py::none(), call);
}

void BindRequest(py::module_& module, Stub* stub) {
  py::class_<PyRequest, std::shared_ptr<PyRequest>>(module, "InferenceRequest")
      .def(py::init([stub](const std::string& request_id, const py::object& correlation_id,
                           std::vector<std::shared_ptr<PyTensor>> inputs, std::vector<std::string> outputs,
                           const std::string& model_name, std::int64_t model_version, std::uint32_t flags,
                           std::uint64_t timeout, const PreferredMemory& memory, const TraceValue& trace,
                           const py::object& parameters) {
             RequestValue value;
             value.id = request_id;
             value.correlation_id = ToCorrelationId(correlation_id);
             value.requested_outputs = std::move(outputs);
             value.model_name = model_name;
             value.model_version = model_version;
             value.flags = flags;
             value.timeout_us = timeout;
             value.preferred_memory = memory.type;
             value.preferred_device = memory.device;
             value.trace = trace;
             value.parameters = ParametersToJson(parameters);
             return std::make_shared<PyRequest>(stub, std::move(value), std::move(inputs));
           }),
           py::arg("request_id").none(false) = "", py::arg("correlation_id") = 0,
           py::arg("inputs").none(false), py::arg("requested_output_names").none(false),
           py::arg("model_name").none(false), py::arg("model_version").none(false) = -1,
           py::arg("flags").none(false) = 0, py::arg("timeout").none(false) = 0,
           py::arg("preferred_memory").none(false) = PreferredMemory{},
           py::arg("trace").none(false) = TraceValue{}, py::arg("parameters") = py::none())
      .def("inputs", &PyRequest::inputs)
      .def("request_id", [](const PyRequest& self) { return self.value().id; })
      .def("correlation_id",
           [](const PyRequest& self) { return FromCorrelationId(self.value().correlation_id); })
      .def("requested_output_names",
           [](const PyRequest& self) {
             const auto& names = self.value().requested_outputs;
             return std::set<std::string>(names.begin(), names.end());
           })
      .def("flags", [](const PyRequest& self) { return self.value().flags; })
      .def("set_flags", [](PyRequest& self, std::uint32_t flags) { self.value().flags = flags; })
      .def("timeout", [](const PyRequest& self) { return self.value().timeout_us; })
      .def("parameters", [](const PyRequest& self) { return self.value().parameters; })
      .def("trace", [](const PyRequest& self) { return self.value().trace; })
      .def("exec", &Exec, py::arg("decoupled").none(false) = false)
      .def("async_exec", &AsyncExec, py::arg("decoupled").none(false) = false)
      .def("get_response_sender",
           [](const PyRequest& self) {
             self.sender()->set_taken();
             return self.sender();
           })
      .def("is_cancelled", &PyRequest::IsCancelled)
      .def("set_release_flags", &PyRequest::SetReleaseFlags);
}

}  // namespace

void BindInference(py::module_& module, Stub* stub) {
  BindErrors(module);
  BindMemory(module);
  BindResponse(module, stub->release());
  BindRequest(module, stub);
}

}  // namespace wb
