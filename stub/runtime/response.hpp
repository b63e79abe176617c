// What a model knows as pb_utils.TritonError and pb_utils.InferenceResponse.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "codec/values.hpp"
#include "protocol/releases.hpp"
#include "runtime/tensor.hpp"

namespace wb {

// JSON text of a dict of str → bool/int/str; "{}" for None. Throws ModelException with upstream's texts.
std::string ParametersToJson(const py::object& parameters);

class PyResponse {
 public:
  PyResponse(std::vector<std::shared_ptr<PyTensor>> tensors, std::shared_ptr<ErrorValue> error,
             const py::object& parameters);
  // From the other side.
  explicit PyResponse(ResponseValue value);

  const std::vector<std::shared_ptr<PyTensor>>& tensors() const { return tensors_; }
  const std::shared_ptr<ErrorValue>& error() const { return error_; }
  const std::string& parameters() const { return parameters_; }

  // Drops what the client did not ask for.
  void Prune(const std::set<std::string>& requested);
  // Writes it for the parent. GIL not needed. Throws PoolExhausted.
  Handle Save(Pool* pool, const Release& release, Refs* keep) const;

 private:
  std::vector<std::shared_ptr<PyTensor>> tensors_;
  std::shared_ptr<ErrorValue> error_;
  std::string parameters_;
};

}  // namespace wb
