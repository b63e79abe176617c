#include "host/python_values.hpp"

#include <pybind11/stl.h>

#include <limits>
#include <utility>

#include "bindings/bytes_array.hpp"
#include "protocol/error.hpp"

namespace py = pybind11;

namespace wb {

namespace {

// Elements of a shape, or nothing if there cannot be so many.
std::optional<std::size_t> ElementCount(const std::vector<std::int64_t>& dims) {
  std::size_t count = 1;
  for (const std::int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    if (__builtin_mul_overflow(count, static_cast<std::size_t>(dim), &count)) return std::nullopt;
  }
  return count;
}

// NumPy's name for each datatype; BF16 has none, its bits are handed out.
const py::dtype& NumpyType(DataType type) {
  static constexpr const char* kNames[] = {"V",  "?",  "u1", "u2", "u4", "u8", "i1", "i2",
                                           "i4", "i8", "f2", "f4", "f8", "O",  "u2"};
  static py::dtype* const types = [] {
    auto* all = new py::dtype[std::size(kNames)];  // lives as long as the interpreter
    for (std::size_t i = 0; i < std::size(kNames); ++i) all[i] = py::dtype(kNames[i]);
    return all;
  }();
  return types[static_cast<std::size_t>(type)];
}

void CheckSize(const TensorValue& tensor) {
  const auto count = ElementCount(tensor.dims);
  if (!count)
    throw py::value_error("tensor '" + tensor.name +
                          "': the shape has a negative or an impossible dimension");
  const std::size_t element = Info(tensor.dtype).element_size;
  std::size_t wanted = 0;
  if (element == 0) {
    try {
      CheckBytes(tensor.data, tensor.byte_size, *count);
    } catch (const Error& error) {
      throw py::value_error("tensor '" + tensor.name + "': " + error.what());
    }
  } else if (__builtin_mul_overflow(*count, element, &wanted) || wanted != tensor.byte_size) {
    throw py::value_error("tensor '" + tensor.name + "': its data have " + std::to_string(tensor.byte_size) +
                          " bytes, its shape and datatype " + std::string(Info(tensor.dtype).name) +
                          " ask for " + std::to_string(*count) + " elements of " + std::to_string(element) +
                          " bytes");
  }
}

TensorValue ParseTensor(const py::handle& item, std::vector<BufferView>* buffers) {
  if (!py::isinstance<py::tuple>(item) || py::len(item) != 4) {
    throw py::type_error("a tensor is a tuple (name, datatype number, shape, data)");
  }
  const auto tuple = py::reinterpret_borrow<py::tuple>(item);
  TensorValue tensor;
  tensor.name = tuple[0].cast<std::string>();
  tensor.dtype = static_cast<DataType>(tuple[1].cast<int>());
  if (!IsValid(tensor.dtype)) {
    throw py::value_error("tensor '" + tensor.name + "': " + std::to_string(static_cast<int>(tensor.dtype)) +
                          " is not the number of a datatype");
  }
  for (const py::handle dim : tuple[2]) tensor.dims.push_back(dim.cast<std::int64_t>());
  const BufferView& buffer = buffers->emplace_back(tuple[3]);
  tensor.data = buffer.data();
  tensor.byte_size = buffer.size();
  CheckSize(tensor);
  return tensor;
}

py::tuple Shape(const TensorValue& tensor) {
  py::tuple shape(tensor.dims.size());
  for (std::size_t i = 0; i < tensor.dims.size(); ++i) shape[i] = py::int_(tensor.dims[i]);
  return shape;
}

[[noreturn]] void RaiseTimeout(const std::string& text) {
  PyErr_SetString(PyExc_TimeoutError, text.c_str());
  throw py::error_already_set();
}

std::shared_ptr<Response> NextResponse(const Request& request, std::optional<double> timeout) {
  auto value = NextValue(request, timeout);
  return value ? std::make_shared<Response>(std::move(*value)) : nullptr;
}

std::shared_ptr<Request> MakeRequest(const py::iterable& inputs, std::vector<std::string> requested_outputs,
                                     std::string request_id, const py::object& correlation_id,
                                     std::uint32_t flags, std::uint64_t timeout_us, std::string parameters,
                                     std::string model_name, std::int64_t model_version,
                                     std::string trace_context, std::uint64_t parent) {
  auto request = std::make_shared<Request>();
  RequestValue value;
  value.inputs = ParseTensors(inputs, &request->inputs);
  value.requested_outputs = std::move(requested_outputs);
  value.id = std::move(request_id);
  value.correlation_id = ParseCorrelationId(correlation_id);
  value.flags = flags;
  value.timeout_us = timeout_us;
  value.parameters = std::move(parameters);
  value.model_name = std::move(model_name);
  value.model_version = model_version;
  value.trace.context = std::move(trace_context);
  request->pending = std::make_shared<Pending>(std::move(value), parent);
  return request;
}

}  // namespace

std::optional<ResponseValue> NextValue(const Request& request, std::optional<double> timeout) {
  const Deadline deadline = timeout ? Deadline::AfterSeconds(*timeout) : Deadline::Never();
  try {
    if (request.pending->HasNext()) return request.pending->Next(deadline, {});
    const py::gil_scoped_release release;
    return request.pending->Next(deadline, CheckSignals());
  } catch (const TimedOut& error) {
    RaiseTimeout(error.what());
  }
}

BufferView::BufferView(py::handle object) {
  // NumPy's own types that no buffer format describes still have plain memory: ask for nothing else.
  if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
}

BufferView::~BufferView() {
  if (view_.obj) PyBuffer_Release(&view_);
}

BufferView::BufferView(BufferView&& other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }

std::vector<TensorValue> ParseTensors(const py::iterable& tuples, std::vector<BufferView>* buffers) {
  std::vector<TensorValue> tensors;
  for (const py::handle item : tuples) tensors.push_back(ParseTensor(item, buffers));
  return tensors;
}

CorrelationId ParseCorrelationId(const py::object& id) {
  CorrelationId value;
  value.is_text = py::isinstance<py::str>(id);
  if (value.is_text) {
    value.text = id.cast<std::string>();
  } else {
    value.number = id.cast<std::uint64_t>();
  }
  return value;
}

py::object ToPython(const CorrelationId& id) {
  if (id.is_text) return py::str(id.text);
  return py::int_(id.number);
}

std::optional<ErrorValue> ParseError(const py::object& error) {
  if (error.is_none()) return std::nullopt;
  const auto [code, text] = error.cast<std::pair<int, std::string>>();
  if (code < 0 || code > static_cast<int>(ErrorCode::kCancelled)) {
    throw py::value_error(std::to_string(code) + " is not the number of an error code");
  }
  return ErrorValue{static_cast<ErrorCode>(code), text};
}

py::array OutputTensor::Numpy(const py::object& self) const {
  const auto count = ElementCount(value.dims);
  if (!count || !IsValid(value.dtype)) {
    throw RegionBroken("tensor '" + value.name + "' has an impossible shape or datatype");
  }
  py::array array;
  if (value.dtype == DataType::kBytes) {
    array = DecodeBytes(value.data, value.byte_size, *count).reshape(value.dims);
  } else {
    const std::size_t element = Info(value.dtype).element_size;
    if (*count > value.byte_size / element || *count * element != value.byte_size) {
      throw RegionBroken("tensor '" + value.name + "' has " + std::to_string(value.byte_size) +
                         " bytes, which its shape and datatype contradict");
    }
    // A base makes NumPy take the memory as it is; without one it copies, which unaligned elements need.
    const bool aligned = reinterpret_cast<std::uintptr_t>(value.data) % element == 0;
    array =
        py::array(NumpyType(value.dtype), value.dims, value.data, aligned ? py::handle(self) : py::handle());
  }
  py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return array;
}

OutputTensors ToOutputs(std::vector<TensorValue> values) {
  OutputTensors outputs;
  outputs.reserve(values.size());
  for (TensorValue& value : values)
    outputs.push_back(std::make_shared<OutputTensor>(OutputTensor{std::move(value)}));
  return outputs;
}

Response::Response(ResponseValue value)
    : outputs(ToOutputs(std::move(value.outputs))),
      error(std::move(value.error)),
      parameters(std::move(value.parameters)),
      is_last(value.is_last) {}

ResponseValue Response::Copy() const {
  ResponseValue value;
  for (const auto& output : outputs) value.outputs.push_back(output->value);
  value.error = error;
  value.parameters = parameters;
  return value;
}

namespace {
// Never destroyed: the interpreter may be gone before it would be.
py::object& OnWait() {
  static auto* hook = new py::object;
  return *hook;
}
}  // namespace

void SetOnWait(py::object hook) { OnWait() = std::move(hook); }

const Interrupt& CheckSignals() {
  static const Interrupt check = [] {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (const py::object hook = OnWait()) hook();  // which may replace itself
  };
  return check;
}

void BindValues(py::module_& module) {
  py::class_<OutputTensor, std::shared_ptr<OutputTensor>>(module, "OutputTensor", py::buffer_protocol(),
                                                          py::is_final())
      .def_property_readonly("name", [](const OutputTensor& self) { return self.value.name; })
      .def_property_readonly("datatype",
                             [](const OutputTensor& self) { return static_cast<int>(self.value.dtype); })
      .def_property_readonly("shape", [](const OutputTensor& self) { return Shape(self.value); })
      .def_property_readonly("byte_size", [](const OutputTensor& self) { return self.value.byte_size; })
      .def("numpy", [](const py::object& self) { return self.cast<const OutputTensor&>().Numpy(self); })
      .def_buffer([](const OutputTensor& self) {
        const auto size = static_cast<py::ssize_t>(self.value.byte_size);
        return py::buffer_info(const_cast<char*>(self.value.data), 1, "B", 1, {size}, {py::ssize_t{1}}, true);
      });

  py::class_<Response, std::shared_ptr<Response>>(module, "Response", py::is_final())
      .def_property_readonly("outputs", [](const Response& self) { return self.outputs; })
      .def_property_readonly("error",
                             [](const Response& self) -> py::object {
                               if (!self.error) return py::none();
                               return py::make_tuple(static_cast<int>(self.error->code), self.error->message);
                             })
      .def_property_readonly("parameters", [](const Response& self) { return self.parameters; })
      .def_property_readonly("is_last", [](const Response& self) { return self.is_last; });

  py::class_<Request, std::shared_ptr<Request>>(module, "Request", py::is_final())
      .def(py::init(&MakeRequest), py::arg("inputs"), py::arg("requested_outputs"), py::kw_only(),
           py::arg("request_id") = "", py::arg("correlation_id") = 0, py::arg("flags") = 0,
           py::arg("timeout_us") = 0, py::arg("parameters") = "{}", py::arg("model_name") = "",
           py::arg("model_version") = 1, py::arg("trace_context") = "", py::arg("parent") = 0)
      .def_property_readonly("span", [](const Request& self) { return self.pending->span(); })
      .def("next_response", &NextResponse, py::arg("timeout") = py::none())
      .def("cancel", [](Request& self) { self.pending->Cancel(); })
      .def_property_readonly("cancelled", [](const Request& self) { return self.pending->cancelled(); })
      .def_property_readonly("complete", [](const Request& self) { return self.pending->complete(); })
      .def_property_readonly("abandoned", [](const Request& self) { return self.pending->abandoned(); })
      .def_property_readonly("rescheduled", [](const Request& self) { return self.pending->rescheduled(); });
}

}  // namespace wb
