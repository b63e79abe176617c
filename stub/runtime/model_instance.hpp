// The model: import model.py, then initialize, execute, finalize (pb_utils.md §1). Every call needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codec/response.hpp"
#include "runtime/bls.hpp"
#include "runtime/event_loop.hpp"
#include "runtime/request.hpp"
#include "runtime/stub.hpp"

namespace wb {

// The model failed or broke its contract. The text is what crosses to the parent.
class ModelError : public Error {
 public:
  using Error::Error;
};

class ModelInstance {
 public:
  explicit ModelInstance(Stub* stub) : stub_(stub) {}

  // Puts the model's folders on sys.path, imports it, grafts the compiled classes on pb_utils. Throws
  // ModelError.
  void Import();
  // The configuration after the model's auto_complete_config, or unchanged. Throws ModelError.
  std::string AutoComplete(const std::string& config_json);
  // TritonPythonModel(). Throws ModelError.
  void Construct();
  void Initialize(const std::map<std::string, std::string>& args);
  bool has_is_ready();
  PushReceiver::Readiness IsReady();
  // One batch; what could not be answered in the batch itself was sent. Never throws for the model's faults.
  // `keep` holds what the answer names.
  ResponseBatchValue Execute(const std::vector<Handle>& requests, Refs* keep);
  // Model's finalize(); failures are logged.
  void Finalize();
  // Lets go of the model: it ends before the interpreter does.
  void Drop();

 private:
  using Requests = std::vector<std::shared_ptr<PyRequest>>;

  py::object CallExecute(const py::list& requests);
  void CheckReturned(const py::object& returned, const Requests& requests);
  void Background(const py::object& coroutine, const Requests& requests);
  ResponseBatchValue Answer(const py::object& returned, const Requests& requests, Refs* keep);
  ResponseBatchValue Fail(const std::string& detail, const Requests& requests);

  Stub* stub_;
  py::module_ utils_;
  py::object model_class_;
  py::object model_;
  EventLoop loop_;
};

}  // namespace wb
