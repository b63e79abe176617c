// What a stub asks its parent on its own initiative: log, metrics, model control, cancellation, clean-up
// (protocol.md §5.14). New… functions make a payload with its mutex and condition ready and the flag down.
#pragma once

#include "codec/text.hpp"
#include "protocol/releases.hpp"

namespace wb {

enum class LogLevel : int { kInfo = 0, kWarning = 1, kError = 2, kVerbose = 3 };

struct LogValue {
  LogLevel level = LogLevel::kInfo;
  std::string file;
  int line = 0;
  std::string message;
};
Ref NewLog(Pool* pool, const LogValue& log, Refs* keep);
LogValue ReadLog(Pool* pool, Handle handle);

Ref NewCleanup(Pool* pool, std::uint64_t id);
Ref NewIsCancelled(Pool* pool, std::int64_t factory, std::int64_t request);
Ref NewCancelBls(Pool* pool, std::uint64_t id);

enum class MetricKind : int { kCounter = 0, kGauge = 1, kHistogram = 2 };

struct MetricFamilyValue {
  std::string name;
  std::string description;
  MetricKind kind = MetricKind::kCounter;
  std::uint64_t address = 0;
};
Handle WriteMetricFamily(Pool* pool, const MetricFamilyValue& family, Refs* keep);
MetricFamilyValue ReadMetricFamily(Pool* pool, Handle handle);

struct MetricValue {
  std::string labels = "{}";  // JSON
  bool has_buckets = false;
  std::vector<double> buckets;
  double operation_value = 0;
  std::uint64_t address = 0;
  std::uint64_t family_address = 0;
};
Handle WriteMetric(Pool* pool, const Release& release, const MetricValue& metric, Refs* keep);
MetricValue ReadMetric(Pool* pool, const Release& release, Handle handle);
Ref NewMetricMessage(Pool* pool, Handle message);

struct ModelLoaderValue {
  std::string name;
  std::string version;
  bool unload_dependents = false;
  std::string config;
  StringMap files;  // path → content
};
Handle WriteModelLoader(Pool* pool, const ModelLoaderValue& value, Refs* keep);
ModelLoaderValue ReadModelLoader(Pool* pool, Handle handle);
Ref NewModelLoaderMessage(Pool* pool, Handle message);

// Response-send message; `response` may be 0 (flags only).
Ref NewResponseSend(Pool* pool, std::int64_t request, std::int64_t factory, Handle response,
                    std::uint32_t flags);

}  // namespace wb
