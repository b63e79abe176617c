// Bindings of what a model asks of its server: log, metrics, model control (pb_utils.md §2.9 to §2.11).
#include <pybind11/stl.h>

#include "runtime/backend_utils.hpp"
#include "runtime/tensor.hpp"
#include "runtime/without_gil.hpp"

namespace wb {

namespace {

struct Logger {};

// Where the model's own code stands at this moment.
std::pair<std::string, int> Caller() {
  PyFrameObject* frame = PyEval_GetFrame();
  if (!frame) return {"model.py", 0};
  const int line = PyFrame_GetLineNumber(frame);
  PyCodeObject* code = PyFrame_GetCode(frame);
  const auto held = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(code));
  return {py::reinterpret_borrow<py::object>(code->co_filename).cast<std::string>(), line};
}

void LogFrom(Stub* stub, LogLevel level, const std::string& message) {
  const auto [file, line] = Caller();
  stub->Log(level, file, line, message);
}

void BindLogger(py::module_& module, Stub* stub) {
  py::class_<Logger> logger(module, "Logger");
  py::enum_<LogLevel>(logger, "LogLevel")
      .value("INFO", LogLevel::kInfo)
      .value("WARNING", LogLevel::kWarning)
      .value("ERROR", LogLevel::kError)
      .value("VERBOSE", LogLevel::kVerbose)
      .export_values();
  logger.def_static(
      "log", [stub](const std::string& message, LogLevel level) { LogFrom(stub, level, message); },
      py::arg("message").none(false), py::arg("level").none(false) = LogLevel::kInfo);
  const auto level_method = [&](const char* name, LogLevel level) {
    logger.def_static(
        name, [stub, level](const std::string& message) { LogFrom(stub, level, message); },
        py::arg("message").none(false));
  };
  level_method("log_info", LogLevel::kInfo);
  level_method("log_warn", LogLevel::kWarning);
  level_method("log_error", LogLevel::kError);
  level_method("log_verbose", LogLevel::kVerbose);
  // For lines that were logged elsewhere: Python's `logging`.
  logger.def_static("_log_at",
                    [stub](int level, const std::string& file, int line, const std::string& message) {
                      if (level < 0 || level > static_cast<int>(LogLevel::kVerbose)) {
                        throw py::value_error(std::to_string(level) + " is not the number of a log level");
                      }
                      stub->Log(static_cast<LogLevel>(level), file, line, message);
                    });
}

// Asks the parent without the GIL; its refusal becomes a TritonModelException with `prefix`.
template <typename Call>
auto Ask(Stub* stub, const std::string& prefix, Call call) -> decltype(call()) {
  if (!stub->services_up()) {
    throw ModelException(prefix +
                         "the server can be reached from 'initialize', 'execute' and 'finalize' only.");
  }
  const WithoutGil release;
  try {
    return call();
  } catch (const RegionBroken&) {
    throw;
  } catch (const Error& error) {
    throw ModelException(prefix + "Failed to process the request for model '" + stub->options().name +
                         "', message: " + error.what());
  }
}

class Family;

class Metric {
 public:
  Metric(Stub* stub, std::shared_ptr<bool> family_alive, MetricValue value)
      : stub_(stub), family_alive_(std::move(family_alive)), value_(std::move(value)) {
    Ask(stub_,
        "Error when creating Metric: ", [&] { return stub_->link().Metric(Command::kMetricNew, &value_); });
  }
  ~Metric() {
    if (!stub_->services_up() || !*family_alive_) return;
    stub_->jobs().Push(
        [stub = stub_, value = value_]() mutable { stub->link().Metric(Command::kMetricDelete, &value); });
  }
  Metric(const Metric&) = delete;
  Metric& operator=(const Metric&) = delete;

  double Operate(Command command, const char* verb, double operand) {
    const std::string prefix = std::string("Failed to ") + verb + " metric value: ";
    if (!*family_alive_) {
      throw ModelException(
          prefix +
          "Invalid metric operation as the corresponding 'MetricFamily' has been deleted. The "
          "'MetricFamily' object should be deleted AFTER its corresponding 'Metric' objects have "
          "been deleted.");
    }
    MetricValue value = value_;
    value.operation_value = operand;
    return Ask(stub_, prefix, [&] { return stub_->link().Metric(command, &value); });
  }

 private:
  Stub* stub_;
  std::shared_ptr<bool> family_alive_;
  MetricValue value_;
};

class Family {
 public:
  Family(Stub* stub, const std::string& name, const std::string& description, MetricKind kind)
      : stub_(stub), alive_(std::make_shared<bool>(true)) {
    value_.name = name;
    value_.description = description;
    value_.kind = kind;
    Ask(stub_, "Error when creating MetricFamily: ", [&] {
      stub_->link().MetricFamily(Command::kMetricFamilyNew, &value_);
    });
  }
  ~Family() {
    *alive_ = false;
    if (!stub_->services_up()) return;
    stub_->jobs().Push([stub = stub_, value = value_]() mutable {
      stub->link().MetricFamily(Command::kMetricFamilyDelete, &value);
    });
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  std::shared_ptr<Metric> NewMetric(const py::object& labels, const py::object& buckets) const {
    MetricValue metric;
    if (!labels.is_none()) {
      if (!py::isinstance<py::dict>(labels)) {
        throw ModelException("Failed to create metric. Labels must be a dictionary.");
      }
      metric.labels = py::module_::import("json").attr("dumps")(labels).cast<std::string>();
    }
    if (value_.kind == MetricKind::kHistogram) {
      if (buckets.is_none()) throw ModelException("Failed to create metric. Missing required buckets.");
      if (!py::isinstance<py::list>(buckets)) {
        throw ModelException("Failed to create metric. Buckets must be a list.");
      }
      metric.has_buckets = true;
      metric.buckets = buckets.cast<std::vector<double>>();
    } else if (!buckets.is_none()) {
      throw ModelException("Failed to create metric. Unexpected buckets found.");
    }
    metric.family_address = value_.address;
    return std::make_shared<Metric>(stub_, alive_, std::move(metric));
  }

 private:
  Stub* stub_;
  std::shared_ptr<bool> alive_;
  MetricFamilyValue value_;
};

void BindMetrics(py::module_& module, Stub* stub) {
  py::class_<Metric, std::shared_ptr<Metric>> metric(module, "Metric");
  metric
      .def("increment",
           [](Metric& self, double x) { self.Operate(Command::kMetricIncrement, "increment", x); })
      .def("set", [](Metric& self, double x) { self.Operate(Command::kMetricSet, "set", x); })
      .def("value", [](Metric& self) { return self.Operate(Command::kMetricValue, "get", 0); });
  py::class_<Family, std::shared_ptr<Family>> family(module, "MetricFamily");
  py::enum_<MetricKind> kind(module, "MetricKind");
  kind.value("COUNTER", MetricKind::kCounter).value("GAUGE", MetricKind::kGauge);
  const bool histogram = stub->release().has_histogram;
  if (histogram) {
    kind.value("HISTOGRAM", MetricKind::kHistogram);
    metric.def("observe",
               [](Metric& self, double x) { self.Operate(Command::kMetricObserve, "observe", x); });
  }
  kind.export_values();
  for (const char* name : {"COUNTER", "GAUGE"}) family.attr(name) = kind.attr(name);
  if (histogram) family.attr("HISTOGRAM") = kind.attr("HISTOGRAM");
  family.def(
      py::init([stub](const std::string& name, const std::string& description, MetricKind metric_kind) {
        return std::make_shared<Family>(stub, name, description, metric_kind);
      }),
      py::arg("name").none(false), py::arg("description").none(false), py::arg("kind").none(false));
  if (histogram) {
    family.def("Metric", &Family::NewMetric, py::arg("labels") = py::none(), py::arg("buckets") = py::none());
  } else {
    family.def(
        "Metric",
        [](const Family& self, const py::object& labels) { return self.NewMetric(labels, py::none()); },
        py::arg("labels") = py::none());
  }
}

void LoadModel(Stub* stub, const std::string& name, const std::string& config, const py::object& files) {
  ModelLoaderValue value;
  value.name = name;
  value.config = config;
  if (!files.is_none()) {
    if (!py::isinstance<py::dict>(files)) {
      throw ModelException("failed to load model '" + name +
                           "', files should be a dictionary of file paths and file contents");
    }
    if (config.empty() && !files.cast<py::dict>().empty()) {
      throw ModelException("failed to load model '" + name + "', files need a config");
    }
    for (const auto& [path, content] : files.cast<py::dict>()) {
      if (!py::isinstance<py::str>(path) || !py::isinstance<py::bytes>(content)) {
        throw ModelException("failed to load model '" + name +
                             "', files should be a dictionary of str paths and bytes contents");
      }
      value.files[path.cast<std::string>()] = content.cast<std::string>();
    }
  }
  Ask(stub, "Failed to load model: ", [&] { return stub->link().Control(Command::kLoadModel, value); });
}

void BindModelControl(py::module_& module, Stub* stub) {
  module.def(
      "load_model",
      [stub](const std::string& name, const std::string& config, const py::object& files) {
        LoadModel(stub, name, config, files);
      },
      py::arg("model_name").none(false), py::arg("config").none(false) = "", py::arg("files") = py::none());
  module.def(
      "unload_model",
      [stub](const std::string& name, bool dependents) {
        ModelLoaderValue value;
        value.name = name;
        value.unload_dependents = dependents;
        Ask(stub,
            "Failed to unload model: ", [&] { return stub->link().Control(Command::kUnloadModel, value); });
      },
      py::arg("model_name").none(false), py::arg("unload_dependents").none(false) = false);
  module.def(
      "is_model_ready",
      [stub](const std::string& name, const std::string& version) {
        ModelLoaderValue value;
        value.name = name;
        value.version = version;
        return Ask(stub, "Failed to check model readiness: ", [&] {
          return stub->link().Control(Command::kModelReadiness, value);
        });
      },
      py::arg("model_name").none(false), py::arg("model_version").none(false) = "");
}

}  // namespace

void BindServices(py::module_& module, Stub* stub) {
  BindLogger(module, stub);
  BindMetrics(module, stub);
  BindModelControl(module, stub);
}

}  // namespace wb
