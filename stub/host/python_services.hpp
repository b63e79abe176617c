// Handlers written in Python, called on the channel's threads; and the objects they are given.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "host/services.hpp"

namespace wb {

class PythonServices : public Services {
 public:
  // Each a callable or None. With the GIL.
  PythonServices(pybind11::object log, pybind11::object bls, pybind11::object metric,
                 pybind11::object control);
  ~PythonServices() override;

  void Log(const LogValue& log) override;
  void Bls(std::shared_ptr<BlsCall> call) override;
  MetricAnswer Metric(const MetricQuestion& question) override;
  bool Control(const ControlQuestion& question) override;

  // Lets go of the handlers, which often lead back to the channel. With the GIL.
  void Clear();
  int Traverse(visitproc visit, void* arg) const;

 private:
  pybind11::object log_;
  pybind11::object bls_;
  pybind11::object metric_;
  pybind11::object control_;
};

void BindServices(pybind11::module_& module);

}  // namespace wb
