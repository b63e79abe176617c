#include "runtime/response.hpp"

#include <algorithm>

#include "codec/response.hpp"
#include "shm/note.hpp"

namespace wb {

std::string ParametersToJson(const py::object& parameters) {
  if (parameters.is_none()) return "{}";
  const auto type_text = [](const py::handle& object) {
    return py::str(py::type::of(object)).cast<std::string>();
  };
  if (!py::isinstance<py::dict>(parameters))
    throw ModelException("Expect dict, got " + type_text(parameters));
  for (const auto& [key, value] : parameters.cast<py::dict>()) {
    if (!py::isinstance<py::str>(key)) {
      throw ModelException("Expect parameters keys to have type str, found type " + type_text(key));
    }
    if (!py::isinstance<py::bool_>(value) && !py::isinstance<py::int_>(value) &&
        !py::isinstance<py::str>(value)) {
      throw ModelException("Expect parameters values to have type bool/int/str, found type " +
                           type_text(value));
    }
  }
  return py::module_::import("json").attr("dumps")(parameters).cast<std::string>();
}

PyResponse::PyResponse(std::vector<std::shared_ptr<PyTensor>> tensors, std::shared_ptr<ErrorValue> error,
                       const py::object& parameters)
    : tensors_(std::move(tensors)), error_(std::move(error)), parameters_(ParametersToJson(parameters)) {
  for (const auto& tensor : tensors_) {
    if (!tensor) throw ModelException("Output tensor for inference response should not be empty.");
  }
}

PyResponse::PyResponse(ResponseValue value) : parameters_(std::move(value.parameters)) {
  if (value.error) error_ = std::make_shared<ErrorValue>(std::move(*value.error));
  for (TensorValue& output : value.outputs) tensors_.push_back(PyTensor::FromValue(std::move(output)));
}

void PyResponse::Prune(const std::set<std::string>& requested) {
  const auto unwanted = [&](const std::shared_ptr<PyTensor>& tensor) {
    return requested.count(tensor->name()) == 0;
  };
  tensors_.erase(std::remove_if(tensors_.begin(), tensors_.end(), unwanted), tensors_.end());
}

Handle PyResponse::Save(Pool* pool, const Release& release, Refs* keep) const {
  const NoteScope note(Origin::kResponse);
  ResponseValue value;
  if (error_) {
    value.error = *error_;
  } else {
    value.parameters = parameters_;
    for (const auto& tensor : tensors_) {
      tensor->Save(pool, keep);
      value.outputs.push_back(tensor->value());
    }
  }
  return WriteResponse(pool, release, value, keep);
}

}  // namespace wb
