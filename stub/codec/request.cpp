#include "codec/request.hpp"

#include <set>
#include <string_view>

#include "codec/tensor.hpp"
#include "codec/text.hpp"

namespace wb {

namespace {

constexpr std::uint32_t kMostTensors = 1u << 20;

Handle WriteCorrelationId(Pool* pool, const CorrelationId& id, Refs* keep) {
  const Handle text = WriteString(pool, id.text, keep);
  Ref object = pool->AllocateAs<wire::CorrelationId>();
  auto* data = object.as<wire::CorrelationId>();
  data->text = text;
  data->number = id.number;
  data->type = id.is_text ? 1 : 0;
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

CorrelationId ReadCorrelationId(Pool* pool, Handle handle) {
  const auto* data = pool->At<wire::CorrelationId>(handle);
  CorrelationId id;
  id.is_text = data->type == 1;
  id.number = data->number;
  id.text = ReadString(pool, data->text);
  return id;
}

Handle WriteTrace(Pool* pool, const TraceValue& trace, Refs* keep) {
  const Handle context = WriteString(pool, trace.context, keep);
  Ref object = pool->AllocateAs<wire::Trace>();
  object.as<wire::Trace>()->context = context;
  object.as<wire::Trace>()->trace = trace.trace;
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

}  // namespace

Handle WriteRequest(Pool* pool, const RequestValue& request, Refs* keep, SharedTexts* shared) {
  const std::set<std::string_view> outputs(request.requested_outputs.begin(),
                                           request.requested_outputs.end());
  // Tensors first, each copied without the region's lock; then all the small objects under one lock.
  std::vector<Handle> inputs;
  inputs.reserve(request.inputs.size());
  for (const TensorValue& input : request.inputs) inputs.push_back(WriteTensor(pool, input, keep));

  Pool::Guard guard(pool);
  const auto common = [&](std::string_view text) {
    const Handle handle = shared ? shared->Find(text) : 0;
    return handle ? handle : WriteString(pool, text, keep);
  };
  // Ids and parameters differ from request to request, if there are any.
  const auto rarely_common = [&](std::string_view text, std::string_view usual) {
    return text == usual ? common(text) : WriteString(pool, text, keep);
  };
  const bool traced = !request.trace.context.empty() || request.trace.trace != 0;
  const bool correlated = request.correlation_id.is_text || request.correlation_id.number != 0;
  Ref object = pool->Allocate(sizeof(wire::Request) + (outputs.size() + inputs.size()) * sizeof(Handle));
  wire::Request data{};
  data.input_count = static_cast<std::uint32_t>(inputs.size());
  data.requested_output_count = static_cast<std::uint32_t>(outputs.size());
  data.model_version = request.model_version;
  data.flags = request.flags;
  data.address = request.address;
  data.response_factory_address = request.factory;
  data.timeout = request.timeout_us;
  data.preferred_memory_type = request.preferred_memory;
  data.preferred_device_id = request.preferred_device;
  data.trace = shared && !traced ? shared->NoTrace() : WriteTrace(pool, request.trace, keep);
  data.release_flags = kReleaseAll;
  data.correlation_id = shared && !correlated ? shared->NoCorrelationId()
                                              : WriteCorrelationId(pool, request.correlation_id, keep);
  data.model_name = common(request.model_name);
  data.request_id = rarely_common(request.id, "");
  data.parameters = rarely_common(request.parameters, "{}");
  *object.as<wire::Request>() = data;
  auto* handles = reinterpret_cast<Handle*>(object.data() + sizeof(wire::Request));
  for (const std::string_view name : outputs) *handles++ = common(name);
  for (const Handle input : inputs) *handles++ = input;
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

RequestValue ReadRequest(const std::shared_ptr<Pool>& pool, Handle handle) {
  const wire::Request data = *pool->At<wire::Request>(handle);
  if (data.input_count > kMostTensors || data.requested_output_count > kMostTensors) {
    throw RegionBroken("a request in shared memory has an impossible number of tensors");
  }
  const std::size_t count = std::size_t{data.input_count} + data.requested_output_count;
  const char* payload = pool->At(handle, sizeof(wire::Request) + count * sizeof(Handle));
  const auto* handles = reinterpret_cast<const Handle*>(payload + sizeof(wire::Request));
  RequestValue request;
  request.id = ReadString(pool.get(), data.request_id);
  request.correlation_id = ReadCorrelationId(pool.get(), data.correlation_id);
  request.model_name = ReadString(pool.get(), data.model_name);
  request.model_version = data.model_version;
  request.flags = data.flags;
  request.timeout_us = data.timeout;
  request.preferred_memory = data.preferred_memory_type;
  request.preferred_device = data.preferred_device_id;
  const auto* trace = pool->At<wire::Trace>(data.trace);
  request.trace.context = ReadOptionalString(pool.get(), trace->context);
  request.trace.trace = trace->trace;
  request.parameters = ReadString(pool.get(), data.parameters);
  request.address = data.address;
  request.factory = data.response_factory_address;
  for (std::uint32_t i = 0; i < data.requested_output_count; ++i) {
    request.requested_outputs.push_back(ReadString(pool.get(), *handles++));
  }
  request.inputs.reserve(data.input_count);
  Pool::Guard guard(pool.get());
  for (std::uint32_t i = 0; i < data.input_count; ++i) request.inputs.push_back(ReadTensor(pool, *handles++));
  return request;
}

Handle WriteRequestBatch(Pool* pool, const std::vector<Handle>& requests, Refs* keep) {
  Ref object = pool->Allocate(sizeof(wire::RequestBatch) + requests.size() * sizeof(Handle));
  object.as<wire::RequestBatch>()->batch_size = static_cast<std::uint32_t>(requests.size());
  object.as<wire::RequestBatch>()->gpu_buffers = 0;
  auto* handles = reinterpret_cast<Handle*>(object.data() + sizeof(wire::RequestBatch));
  for (const Handle request : requests) *handles++ = request;
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

std::vector<Handle> ReadRequestBatch(Pool* pool, Handle handle) {
  const std::uint32_t size = pool->At<wire::RequestBatch>(handle)->batch_size;
  if (size > kMostTensors) throw RegionBroken("a request batch in shared memory has an impossible size");
  const char* payload = pool->At(handle, sizeof(wire::RequestBatch) + size * sizeof(Handle));
  const auto* handles = reinterpret_cast<const Handle*>(payload + sizeof(wire::RequestBatch));
  return std::vector<Handle>(handles, handles + size);
}

std::uint32_t ReadReleaseFlags(Pool* pool, Handle request) {
  return pool->At<wire::Request>(request)->release_flags;
}

void WriteReleaseFlags(Pool* pool, Handle request, std::uint32_t flags) {
  pool->At<wire::Request>(request)->release_flags = flags;
}

}  // namespace wb
