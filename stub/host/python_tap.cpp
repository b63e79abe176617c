#include "host/python_tap.hpp"

#include <pybind11/stl.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/lenient_text.hpp"
#include "host/tap.hpp"

namespace py = pybind11;

namespace wb {

namespace {

using PlainTensor = std::tuple<std::string, int, std::vector<std::int64_t>, std::uint64_t>;

std::vector<TapTensor> ToTensors(const std::vector<PlainTensor>& tuples) {
  std::vector<TapTensor> tensors;
  for (const auto& [name, dtype, dims, size] : tuples) {
    tensors.push_back(TapTensor{name, static_cast<DataType>(dtype), dims, size});
  }
  return tensors;
}

const char* KindName(TapKind kind) {
  switch (kind) {
    case TapKind::kRequest:
      return "request";
    case TapKind::kResponse:
      return "response";
    case TapKind::kExecuted:
      return "executed";
    case TapKind::kCall:
      return "call";
    case TapKind::kReply:
      return "reply";
    default:
      return "begin";
  }
}

py::object FormName(CallForm form) {
  if (form == CallForm::kExec) return py::str("exec");
  if (form == CallForm::kAsyncExec) return py::str("async_exec");
  return py::none();
}

py::list Tensors(const std::vector<TapTensor>& tensors) {
  py::list list;
  for (const TapTensor& each : tensors) {
    list.append(py::make_tuple(LenientText(each.name), static_cast<int>(each.dtype),
                               py::tuple(py::cast(each.dims)), each.byte_size));
  }
  return list;
}

}  // namespace

void BindTap(py::module_& module) {
  module.def("next_span", &NextSpan);
  py::class_<TapRecord>(module, "TapRecord", py::is_final())
      .def_property_readonly("kind", [](const TapRecord& self) { return KindName(self.event.kind); })
      .def_property_readonly("final", [](const TapRecord& self) { return self.event.final; })
      .def_property_readonly("error",
                             [](const TapRecord& self) -> py::object {
                               if (!self.event.error) return py::none();
                               return LenientText(self.text);
                             })
      .def_property_readonly("decoupled", [](const TapRecord& self) { return self.event.decoupled; })
      .def_property_readonly("form", [](const TapRecord& self) { return FormName(self.event.form); })
      .def_property_readonly("line", [](const TapRecord& self) { return self.event.line; })
      .def_property_readonly("order", [](const TapRecord& self) { return self.event.order; })
      .def_property_readonly("span", [](const TapRecord& self) { return self.event.span; })
      .def_property_readonly("parent", [](const TapRecord& self) { return self.event.parent; })
      .def_property_readonly("batch", [](const TapRecord& self) { return self.event.other; })
      .def_property_readonly("time_ns", [](const TapRecord& self) { return self.event.time; })
      .def_property_readonly("since_ns", [](const TapRecord& self) { return self.event.since; })
      .def_property_readonly("model", [](const TapRecord& self) { return LenientText(self.name); })
      .def_property_readonly("tensors", [](const TapRecord& self) { return Tensors(self.tensors); });

  py::class_<Tap, std::shared_ptr<Tap>>(module, "Tap", py::is_final())
      .def(py::init<std::size_t>(), py::arg("byte_size"))
      .def_property("enabled", &Tap::enabled, &Tap::set_enabled)
      .def_property("byte_size", &Tap::capacity, &Tap::Resize)
      .def_property_readonly("position", &Tap::position)
      .def_property_readonly("dropped", &Tap::dropped)
      .def(
          "begin",
          [](Tap& self, std::uint64_t span, const std::string& model, const std::vector<PlainTensor>& tensors,
             std::uint64_t parent) {
            TapEvent event;
            event.kind = TapKind::kBegin;
            event.span = span;
            event.parent = parent;
            event.name = model;
            self.Record(event, ToTensors(tensors));
          },
          py::arg("span"), py::arg("model"), py::arg("tensors"), py::arg("parent") = 0)
      .def(
          "end",
          [](Tap& self, std::uint64_t span, const std::vector<PlainTensor>& tensors,
             const std::optional<std::string>& error) {
            TapEvent event;
            event.kind = TapKind::kReply;
            event.span = span;
            event.final = true;
            event.error = error.has_value();
            if (error) event.text = *error;
            self.Record(event, ToTensors(tensors));
          },
          py::arg("span"), py::arg("tensors") = py::tuple(), py::arg("error") = py::none())
      .def(
          "read",
          [](const Tap& self, std::uint64_t from, std::optional<std::size_t> most) {
            return self.Read(from, most.value_or(std::numeric_limits<std::size_t>::max()));
          },
          py::arg("since") = 0, py::arg("most_bytes") = py::none(), py::call_guard<py::gil_scoped_release>());
}

}  // namespace wb
