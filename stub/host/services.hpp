// What a stub may ask its parent for, as the parent's outside offers it. Called on threads of the channel,
// none of which does anything else meanwhile. To refuse, throw Error with the text the model is to see.
#pragma once

#include <memory>

#include "codec/service.hpp"
#include "host/bls_call.hpp"

namespace wb {

struct MetricQuestion {
  Command operation = Command::kUnknown;
  MetricFamilyValue family;  // of the two that concern a family
  MetricValue metric;        // of the others
};

struct MetricAnswer {
  std::uint64_t address = 0;  // of what was made
  double value = 0;
};

struct ControlQuestion {
  Command operation = Command::kUnknown;
  ModelLoaderValue model;
};

class Services {
 public:
  virtual ~Services() = default;
  virtual void Log(const LogValue& log) = 0;
  // May return before the call is answered.
  virtual void Bls(std::shared_ptr<BlsCall> call) = 0;
  virtual MetricAnswer Metric(const MetricQuestion& question) = 0;
  // The answer counts for readiness only.
  virtual bool Control(const ControlQuestion& question) = 0;
};

}  // namespace wb
