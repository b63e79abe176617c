#include "codec/service.hpp"

#include <cstring>

#include "codec/tensor.hpp"
#include "shm/sync.hpp"

namespace wb {

namespace {

template <typename T>
Ref NewBlocking(Pool* pool, bool aligned = false, std::size_t size = sizeof(T)) {
  Ref ref = pool->Allocate(size, aligned);
  std::memset(ref.data(), 0, size);
  InitMutex(&ref.as<T>()->mu);
  InitCondition(&ref.as<T>()->cv);
  return ref;
}

template <typename Wire>
Handle WriteMetricAs(Pool* pool, const MetricValue& metric, Refs* keep) {
  const Handle labels = WriteString(pool, metric.labels, keep);
  Ref object = pool->AllocateAs<Wire>();
  auto* data = object.template as<Wire>();
  data->labels = labels;
  if constexpr (std::is_same_v<Wire, wire::Metric>) {
    if (metric.has_buckets) {
      data->buckets = WriteMemory(pool, metric.buckets.data(), metric.buckets.size() * sizeof(double), keep);
    }
  }
  data->operation_value = metric.operation_value;
  data->address = metric.address;
  data->family_address = metric.family_address;
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

template <typename Wire>
MetricValue ReadMetricAs(Pool* pool, Handle handle) {
  const Wire data = *pool->At<Wire>(handle);
  MetricValue metric;
  metric.labels = ReadString(pool, data.labels);
  if constexpr (std::is_same_v<Wire, wire::Metric>) {
    if (data.buckets != 0) {
      const std::string bytes = ReadMemory(pool, data.buckets);
      metric.has_buckets = true;
      metric.buckets.resize(bytes.size() / sizeof(double));
      Copy(metric.buckets.data(), bytes.data(), metric.buckets.size() * sizeof(double));
    }
  }
  metric.operation_value = data.operation_value;
  metric.address = data.address;
  metric.family_address = data.family_address;
  return metric;
}

}  // namespace

Ref NewLog(Pool* pool, const LogValue& log, Refs* keep) {
  const Handle file = WriteString(pool, log.file, keep);
  const Handle message = WriteString(pool, log.message, keep);
  Ref ref = NewBlocking<wire::Log>(pool);
  auto* data = ref.as<wire::Log>();
  data->file = file;
  data->line = log.line;
  data->message = message;
  data->level = static_cast<std::int32_t>(log.level);
  return ref;
}

LogValue ReadLog(Pool* pool, Handle handle) {
  const auto* data = pool->At<wire::Log>(handle);
  LogValue log;
  log.file = ReadString(pool, data->file);
  log.line = data->line;
  log.message = ReadString(pool, data->message);
  const int level = data->level;
  log.level = level >= 0 && level <= static_cast<int>(LogLevel::kVerbose) ? static_cast<LogLevel>(level)
                                                                          : LogLevel::kInfo;
  return log;
}

Ref NewCleanup(Pool* pool, std::uint64_t id) {
  // The payload's own mutex and condition are never used: the message's reply slot is.
  Ref ref = pool->Allocate(wire::kCleanupAllocated);
  std::memset(ref.data(), 0, wire::kCleanupAllocated);
  ref.as<wire::Cleanup>()->id = id;
  return ref;
}

Ref NewIsCancelled(Pool* pool, std::int64_t factory, std::int64_t request) {
  Ref ref = NewBlocking<wire::IsCancelled>(pool);
  ref.as<wire::IsCancelled>()->response_factory_address = factory;
  ref.as<wire::IsCancelled>()->request_address = request;
  return ref;
}

Ref NewCancelBls(Pool* pool, std::uint64_t id) {
  Ref ref = NewBlocking<wire::CancelBls>(pool);
  ref.as<wire::CancelBls>()->infer_payload_id = id;
  return ref;
}

Handle WriteMetricFamily(Pool* pool, const MetricFamilyValue& family, Refs* keep) {
  const Handle name = WriteString(pool, family.name, keep);
  const Handle description = WriteString(pool, family.description, keep);
  Ref object = pool->AllocateAs<wire::MetricFamily>();
  auto* data = object.as<wire::MetricFamily>();
  data->name = name;
  data->description = description;
  data->kind = static_cast<std::int32_t>(family.kind);
  data->address = family.address;
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

MetricFamilyValue ReadMetricFamily(Pool* pool, Handle handle) {
  const auto* data = pool->At<wire::MetricFamily>(handle);
  MetricFamilyValue family;
  family.name = ReadString(pool, data->name);
  family.description = ReadString(pool, data->description);
  family.kind = static_cast<MetricKind>(data->kind);
  family.address = data->address;
  return family;
}

Handle WriteMetric(Pool* pool, const Release& release, const MetricValue& metric, Refs* keep) {
  return release.has_histogram ? WriteMetricAs<wire::Metric>(pool, metric, keep)
                               : WriteMetricAs<wire::MetricWithoutBuckets>(pool, metric, keep);
}

MetricValue ReadMetric(Pool* pool, const Release& release, Handle handle) {
  return release.has_histogram ? ReadMetricAs<wire::Metric>(pool, handle)
                               : ReadMetricAs<wire::MetricWithoutBuckets>(pool, handle);
}

Ref NewMetricMessage(Pool* pool, Handle message) {
  Ref ref = NewBlocking<wire::MetricMessage>(pool);
  ref.as<wire::MetricMessage>()->message = message;
  return ref;
}

Handle WriteModelLoader(Pool* pool, const ModelLoaderValue& value, Refs* keep) {
  const Handle name = WriteString(pool, value.name, keep);
  const Handle version = WriteString(pool, value.version, keep);
  const Handle config = WriteString(pool, value.config, keep);
  const Handle files = WriteMap(pool, value.files, keep);
  Ref object = pool->AllocateAs<wire::ModelLoader>();
  auto* data = object.as<wire::ModelLoader>();
  data->name = name;
  data->version = version;
  data->unload_dependents = value.unload_dependents;
  data->config = config;
  data->files = files;
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

ModelLoaderValue ReadModelLoader(Pool* pool, Handle handle) {
  const auto* data = pool->At<wire::ModelLoader>(handle);
  ModelLoaderValue value;
  value.name = ReadString(pool, data->name);
  value.version = ReadOptionalString(pool, data->version);
  value.unload_dependents = data->unload_dependents;
  value.config = ReadOptionalString(pool, data->config);
  if (data->files != 0) value.files = ReadMap(pool, data->files);
  return value;
}

Ref NewModelLoaderMessage(Pool* pool, Handle message) {
  Ref ref = NewBlocking<wire::ModelLoaderMessage>(pool);
  ref.as<wire::ModelLoaderMessage>()->message = message;
  return ref;
}

Ref NewResponseSend(Pool* pool, std::int64_t request, std::int64_t factory, Handle response,
                    std::uint32_t flags) {
  Ref ref = NewBlocking<wire::ResponseSend>(pool, true);
  auto* data = ref.as<wire::ResponseSend>();
  data->request_address = request;
  data->response_factory_address = factory;
  data->response = response;
  data->flags = flags;
  return ref;
}

}  // namespace wb
