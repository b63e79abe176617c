#include "host/python_services.hpp"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/lenient_text.hpp"
#include "host/python_values.hpp"
#include "protocol/error.hpp"

namespace py = pybind11;

namespace wb {

namespace {

// What `_host.pyi` calls BlsCall.
struct Call {
  std::shared_ptr<BlsCall> call;
  std::optional<OutputTensors> inputs;  // made when first asked for

  const OutputTensors& Inputs() {
    if (!inputs) inputs = ToOutputs(call->request().inputs);
    return *inputs;
  }
};

// All that decides whether a model may get the request, in one run of bytes: equal for equal calls only.
py::bytes Form(const Call& self) {
  const RequestValue& request = self.call->request();
  std::string form;
  const auto number = [&form](std::uint64_t value) {
    form.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  const auto text = [&](const std::string& value) {
    number(value.size());
    form += value;
  };
  number(static_cast<std::uint64_t>(request.model_version));
  number(self.call->decoupled() ? 1 : 0);
  text(request.parameters);
  number(request.requested_outputs.size());
  for (const std::string& name : request.requested_outputs) text(name);
  for (const TensorValue& input : request.inputs) {
    text(input.name);
    number(static_cast<std::uint64_t>(input.dtype));
    number(input.dims.size());
    for (const std::int64_t dim : input.dims) number(static_cast<std::uint64_t>(dim));
  }
  return py::bytes(form);
}

// The same request for the model that is to answer it. Its inputs are read where they lie, in the caller's
// region.
std::shared_ptr<Request> RequestFor(const Call& self, std::string model_name, std::int64_t model_version,
                                    std::vector<std::string> requested_outputs) {
  const RequestValue& asked = self.call->request();
  RequestValue value;
  for (TensorValue input : asked.inputs) {
    input.owner = std::exchange(input.block, nullptr);
    value.inputs.push_back(std::move(input));
  }
  value.requested_outputs = std::move(requested_outputs);
  value.id = asked.id;
  value.correlation_id = asked.correlation_id;
  value.flags = asked.flags;
  value.timeout_us = asked.timeout_us;
  value.model_name = std::move(model_name);
  value.model_version = model_version;
  value.trace.context = asked.trace.context;
  auto request = std::make_shared<Request>();
  request->pending = std::make_shared<Pending>(std::move(value), self.call->span());
  return request;
}

struct MetricCall {
  std::string operation;
  std::string name;
  std::string description;
  int kind = 0;
  std::string labels;
  std::vector<double> buckets;
  bool has_buckets = false;
  double value = 0;
  std::uint64_t family = 0;
  std::uint64_t metric = 0;
};

struct ControlCall {
  std::string operation;
  ModelLoaderValue model;
};

const char* OperationName(Command command) {
  switch (command) {
    case Command::kMetricFamilyNew:
      return "family_new";
    case Command::kMetricFamilyDelete:
      return "family_delete";
    case Command::kMetricNew:
      return "metric_new";
    case Command::kMetricDelete:
      return "metric_delete";
    case Command::kMetricValue:
      return "value";
    case Command::kMetricIncrement:
      return "increment";
    case Command::kMetricSet:
      return "set";
    case Command::kMetricObserve:
      return "observe";
    case Command::kLoadModel:
      return "load";
    case Command::kUnloadModel:
      return "unload";
    default:
      return "ready";
  }
}

MetricCall ToCall(const MetricQuestion& question) {
  MetricCall call;
  call.operation = OperationName(question.operation);
  if (question.operation == Command::kMetricFamilyNew || question.operation == Command::kMetricFamilyDelete) {
    call.name = question.family.name;
    call.description = question.family.description;
    call.kind = static_cast<int>(question.family.kind);
    call.family = question.family.address;
    return call;
  }
  call.labels = question.metric.labels;
  call.buckets = question.metric.buckets;
  call.has_buckets = question.metric.has_buckets;
  call.value = question.metric.operation_value;
  call.family = question.metric.family_address;
  call.metric = question.metric.address;
  return call;
}

// The text a model is shown for an exception of a handler.
std::string Describe(const py::error_already_set& error) {
  try {
    const std::string text = py::str(error.value());
    if (!text.empty()) return text;
    return py::str(error.type().attr("__name__"));
  } catch (const py::error_already_set&) {
    return "an exception whose text cannot be had";
  }
}

void Send(const Call& self, const py::iterable& outputs, const py::object& error, std::string parameters,
          bool final) {
  std::vector<BufferView> buffers;
  ResponseValue response;
  response.outputs = ParseTensors(outputs, &buffers);
  response.error = ParseError(error);
  response.parameters = std::move(parameters);
  const py::gil_scoped_release release;
  self.call->Send(std::move(response), final);
}

bool PassOn(const Call& self, const Request& request, double timeout) {
  std::optional<ResponseValue> response = NextValue(request, timeout);
  if (!response) return false;
  if (response->error) {  // nothing else is passed on with it, as in a stream
    response->outputs.clear();
    response->parameters.clear();
  }
  const py::gil_scoped_release release;
  self.call->Send(std::move(*response), true);
  return true;
}

}  // namespace

PythonServices::PythonServices(py::object log, py::object bls, py::object metric, py::object control)
    : log_(std::move(log)), bls_(std::move(bls)), metric_(std::move(metric)), control_(std::move(control)) {}

PythonServices::~PythonServices() {
  if (!log_ && !bls_ && !metric_ && !control_) return;
  const py::gil_scoped_acquire gil;
  Clear();
}

void PythonServices::Clear() {
  // Out of the members first: what dies here may lead back to us.
  const py::object gone[] = {std::move(log_), std::move(bls_), std::move(metric_), std::move(control_)};
}

int PythonServices::Traverse(visitproc visit, void* arg) const {
  Py_VISIT(log_.ptr());
  Py_VISIT(bls_.ptr());
  Py_VISIT(metric_.ptr());
  Py_VISIT(control_.ptr());
  return 0;
}

void PythonServices::Log(const LogValue& log) {
  const py::gil_scoped_acquire gil;
  const py::object handler = log_;
  if (!handler || handler.is_none()) return;
  try {
    handler(static_cast<int>(log.level), LenientText(log.file), log.line, LenientText(log.message));
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("the log handler of a channel");
  } catch (const std::exception&) {  // a lost line ends no conversation
  }
}

void PythonServices::Bls(std::shared_ptr<BlsCall> call) {
  std::string problem;
  {
    const py::gil_scoped_acquire gil;
    const py::object handler = bls_;
    if (!handler || handler.is_none()) {
      problem = "calls to other models are not available here";
    } else {
      try {
        handler(Call{call, std::nullopt});
        return;
      } catch (const py::error_already_set& error) {
        problem = Describe(error);
      } catch (const std::exception& error) {
        problem = error.what();
      }
    }
  }
  call->SendError(problem);
}

MetricAnswer PythonServices::Metric(const MetricQuestion& question) {
  const py::gil_scoped_acquire gil;
  const py::object handler = metric_;
  if (!handler || handler.is_none()) throw Error("metrics are not available here");
  try {
    const py::object result = handler(ToCall(question));
    MetricAnswer answer;
    if (question.operation == Command::kMetricValue) {
      answer.value = result.cast<double>();
    } else if (question.operation == Command::kMetricFamilyNew || question.operation == Command::kMetricNew) {
      answer.address = result.cast<std::uint64_t>();
    }
    return answer;
  } catch (const py::error_already_set& error) {
    throw Error(Describe(error));
  } catch (const py::cast_error& error) {
    throw Error(std::string("the metrics handler gave something unusable: ") + error.what());
  }
}

bool PythonServices::Control(const ControlQuestion& question) {
  const py::gil_scoped_acquire gil;
  const py::object handler = control_;
  if (!handler || handler.is_none()) throw Error("model control is not available here");
  try {
    const py::object result = handler(ControlCall{OperationName(question.operation), question.model});
    return question.operation == Command::kModelReadiness && result.cast<bool>();
  } catch (const py::error_already_set& error) {
    throw Error(Describe(error));
  } catch (const py::cast_error& error) {
    throw Error(std::string("the model control handler gave something unusable: ") + error.what());
  }
}

void BindServices(py::module_& module) {
  py::class_<Call>(module, "BlsCall", py::is_final())
      .def_property_readonly("model_name", [](const Call& self) { return self.call->request().model_name; })
      .def_property_readonly("model_version",
                             [](const Call& self) { return self.call->request().model_version; })
      .def_property_readonly("decoupled", [](const Call& self) { return self.call->decoupled(); })
      .def_property_readonly("request_id", [](const Call& self) { return self.call->request().id; })
      .def_property_readonly("correlation_id",
                             [](const Call& self) { return ToPython(self.call->request().correlation_id); })
      .def_property_readonly("flags", [](const Call& self) { return self.call->request().flags; })
      .def_property_readonly("timeout_us", [](const Call& self) { return self.call->request().timeout_us; })
      .def_property_readonly("parameters", [](const Call& self) { return self.call->request().parameters; })
      .def_property_readonly("requested_outputs",
                             [](const Call& self) { return self.call->request().requested_outputs; })
      .def_property_readonly("inputs", [](Call& self) { return self.Inputs(); })
      .def_property_readonly("form", &Form)
      .def("request_for", &RequestFor, py::arg("model_name"), py::arg("model_version"),
           py::arg("requested_outputs"))
      .def_property_readonly("trace_context",
                             [](const Call& self) { return self.call->request().trace.context; })
      .def_property_readonly("span", [](const Call& self) { return self.call->span(); })
      .def_property_readonly("cancelled", [](const Call& self) { return self.call->cancelled(); })
      .def("send", &Send, py::arg("outputs") = py::tuple(), py::kw_only(), py::arg("error") = py::none(),
           py::arg("parameters") = "", py::arg("final") = true)
      .def("pass_on", &PassOn, py::arg("request"), py::arg("timeout"))
      .def(
          "send_response",
          [](const Call& self, const Response& response, bool final) {
            ResponseValue value = response.Copy();
            const py::gil_scoped_release release;
            self.call->Send(std::move(value), final);
          },
          py::arg("response"), py::kw_only(), py::arg("final") = true);

  py::class_<MetricCall>(module, "MetricCall", py::is_final())
      .def_readonly("operation", &MetricCall::operation)
      .def_readonly("name", &MetricCall::name)
      .def_readonly("description", &MetricCall::description)
      .def_readonly("kind", &MetricCall::kind)
      .def_readonly("labels", &MetricCall::labels)
      .def_readonly("buckets", &MetricCall::buckets)
      .def_readonly("has_buckets", &MetricCall::has_buckets)
      .def_readonly("value", &MetricCall::value)
      .def_readonly("family", &MetricCall::family)
      .def_readonly("metric", &MetricCall::metric);

  py::class_<ControlCall>(module, "ControlCall", py::is_final())
      .def_readonly("operation", &ControlCall::operation)
      .def_property_readonly("model_name", [](const ControlCall& self) { return self.model.name; })
      .def_property_readonly("model_version", [](const ControlCall& self) { return self.model.version; })
      .def_property_readonly("config", [](const ControlCall& self) { return self.model.config; })
      .def_property_readonly("files",
                             [](const ControlCall& self) {
                               py::dict files;
                               for (const auto& [path, content] : self.model.files)
                                 files[py::str(path)] = py::bytes(content);
                               return files;
                             })
      .def_property_readonly("unload_dependents",
                             [](const ControlCall& self) { return self.model.unload_dependents; });
}

}  // namespace wb
