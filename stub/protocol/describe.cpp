#include "protocol/describe.hpp"

#include "protocol/layout.hpp"

// A field's name, offset and size, taken from the declaration itself so that they cannot drift apart.
#define WB_FIELD(Type, member) \
  FieldInfo { #member, offsetof(wire::Type, member), sizeof(wire::Type::member) }

namespace wb {

namespace {

StructInfo DescribeQueue() {
  return {"Queue",
          sizeof(wire::Queue),
          {WB_FIELD(Queue, empty), WB_FIELD(Queue, full), WB_FIELD(Queue, mutex), WB_FIELD(Queue, size),
           WB_FIELD(Queue, buffer), WB_FIELD(Queue, head), WB_FIELD(Queue, tail)}};
}

StructInfo DescribeControl() {
  return {"Control",
          sizeof(wire::Control),
          {WB_FIELD(Control, stub_health), WB_FIELD(Control, parent_health), WB_FIELD(Control, uses_env),
           WB_FIELD(Control, decoupled), WB_FIELD(Control, has_user_readiness),
           WB_FIELD(Control, parent_health_mutex), WB_FIELD(Control, stub_health_mutex),
           WB_FIELD(Control, stub_mq), WB_FIELD(Control, parent_mq), WB_FIELD(Control, stub_to_parent_mq),
           WB_FIELD(Control, parent_to_stub_mq), WB_FIELD(Control, memory_manager_mq)}};
}

StructInfo DescribeMessage() {
  return {"Message",
          sizeof(wire::Message),
          {WB_FIELD(Message, command), WB_FIELD(Message, args), WB_FIELD(Message, inline_response),
           WB_FIELD(Message, response_handle), WB_FIELD(Message, response_mutex),
           WB_FIELD(Message, response_cond)}};
}

StructInfo DescribeString() {
  return {"String", sizeof(wire::String), {WB_FIELD(String, data), WB_FIELD(String, length)}};
}

StructInfo DescribeMap() {
  return {"Map", sizeof(wire::Map), {WB_FIELD(Map, length), WB_FIELD(Map, values)}};
}

StructInfo DescribePair() {
  return {"Pair", sizeof(wire::Pair), {WB_FIELD(Pair, key), WB_FIELD(Pair, value)}};
}

StructInfo DescribeTensor() {
  return {"Tensor",
          sizeof(wire::Tensor),
          {WB_FIELD(Tensor, memory), WB_FIELD(Tensor, dtype), WB_FIELD(Tensor, dims_count)}};
}

StructInfo DescribeMemory() {
  return {
      "Memory",
      sizeof(wire::Memory),
      {WB_FIELD(Memory, gpu_pointer_offset), WB_FIELD(Memory, use_cuda_shared_pool),
       WB_FIELD(Memory, cuda_pool_offset), WB_FIELD(Memory, memory_type), WB_FIELD(Memory, memory_type_id),
       WB_FIELD(Memory, byte_size), WB_FIELD(Memory, memory_release_id)}};
}

StructInfo DescribeError() {
  return {"Error", sizeof(wire::Error), {WB_FIELD(Error, code), WB_FIELD(Error, message)}};
}

StructInfo DescribeCorrelationId() {
  return {"CorrelationId",
          sizeof(wire::CorrelationId),
          {WB_FIELD(CorrelationId, text), WB_FIELD(CorrelationId, number), WB_FIELD(CorrelationId, type)}};
}

StructInfo DescribeTrace() {
  return {"Trace", sizeof(wire::Trace), {WB_FIELD(Trace, context), WB_FIELD(Trace, trace)}};
}

StructInfo DescribeRequest() {
  return {"Request",
          sizeof(wire::Request),
          {WB_FIELD(Request, input_count), WB_FIELD(Request, requested_output_count),
           WB_FIELD(Request, model_version), WB_FIELD(Request, flags), WB_FIELD(Request, address),
           WB_FIELD(Request, response_factory_address), WB_FIELD(Request, is_decoupled),
           WB_FIELD(Request, timeout), WB_FIELD(Request, preferred_memory_type),
           WB_FIELD(Request, preferred_device_id), WB_FIELD(Request, trace), WB_FIELD(Request, release_flags),
           WB_FIELD(Request, correlation_id), WB_FIELD(Request, model_name), WB_FIELD(Request, request_id),
           WB_FIELD(Request, parameters)}};
}

StructInfo DescribeResponseWithoutParameters() {
  return {"ResponseWithoutParameters",
          sizeof(wire::ResponseWithoutParameters),
          {WB_FIELD(ResponseWithoutParameters, outputs_size), WB_FIELD(ResponseWithoutParameters, error),
           WB_FIELD(ResponseWithoutParameters, has_error), WB_FIELD(ResponseWithoutParameters, is_error_set),
           WB_FIELD(ResponseWithoutParameters, id), WB_FIELD(ResponseWithoutParameters, is_last_response)}};
}

StructInfo DescribeResponse() {
  return {"Response",
          sizeof(wire::Response),
          {WB_FIELD(Response, outputs_size), WB_FIELD(Response, parameters), WB_FIELD(Response, error),
           WB_FIELD(Response, has_error), WB_FIELD(Response, is_error_set), WB_FIELD(Response, id),
           WB_FIELD(Response, is_last_response)}};
}

StructInfo DescribeRequestBatch() {
  return {"RequestBatch",
          sizeof(wire::RequestBatch),
          {WB_FIELD(RequestBatch, batch_size), WB_FIELD(RequestBatch, gpu_buffers)}};
}

StructInfo DescribeResponseBatch() {
  return {"ResponseBatch",
          sizeof(wire::ResponseBatch),
          {WB_FIELD(ResponseBatch, mu), WB_FIELD(ResponseBatch, cv), WB_FIELD(ResponseBatch, waiting_on_stub),
           WB_FIELD(ResponseBatch, batch_size), WB_FIELD(ResponseBatch, error),
           WB_FIELD(ResponseBatch, has_error), WB_FIELD(ResponseBatch, cleanup),
           WB_FIELD(ResponseBatch, is_error_set), WB_FIELD(ResponseBatch, response_size),
           WB_FIELD(ResponseBatch, is_response_factory_deleted)}};
}

StructInfo DescribeGpuBuffers() {
  return {"GpuBuffers",
          sizeof(wire::GpuBuffers),
          {WB_FIELD(GpuBuffers, success), WB_FIELD(GpuBuffers, error), WB_FIELD(GpuBuffers, buffers),
           WB_FIELD(GpuBuffers, buffer_count)}};
}

StructInfo DescribeInitializeResponse() {
  return {"InitializeResponse",
          sizeof(wire::InitializeResponse),
          {WB_FIELD(InitializeResponse, has_error), WB_FIELD(InitializeResponse, is_error_set),
           WB_FIELD(InitializeResponse, error)}};
}

StructInfo DescribeAutoCompleteResponse() {
  return {"AutoCompleteResponse",
          sizeof(wire::AutoCompleteResponse),
          {WB_FIELD(AutoCompleteResponse, has_error), WB_FIELD(AutoCompleteResponse, is_error_set),
           WB_FIELD(AutoCompleteResponse, error), WB_FIELD(AutoCompleteResponse, has_model_config),
           WB_FIELD(AutoCompleteResponse, model_config)}};
}

StructInfo DescribeLog() {
  return {"Log",
          sizeof(wire::Log),
          {WB_FIELD(Log, mu), WB_FIELD(Log, cv), WB_FIELD(Log, waiting_on_stub), WB_FIELD(Log, file),
           WB_FIELD(Log, line), WB_FIELD(Log, message), WB_FIELD(Log, level)}};
}

StructInfo DescribeCleanup() {
  return {"Cleanup",
          sizeof(wire::Cleanup),
          {WB_FIELD(Cleanup, mu), WB_FIELD(Cleanup, cv), WB_FIELD(Cleanup, waiting_on_stub),
           WB_FIELD(Cleanup, id)}};
}

StructInfo DescribeIsCancelled() {
  return {"IsCancelled",
          sizeof(wire::IsCancelled),
          {WB_FIELD(IsCancelled, mu), WB_FIELD(IsCancelled, cv), WB_FIELD(IsCancelled, waiting_on_stub),
           WB_FIELD(IsCancelled, response_factory_address), WB_FIELD(IsCancelled, request_address),
           WB_FIELD(IsCancelled, is_cancelled)}};
}

StructInfo DescribeCancelBls() {
  return {"CancelBls",
          sizeof(wire::CancelBls),
          {WB_FIELD(CancelBls, mu), WB_FIELD(CancelBls, cv), WB_FIELD(CancelBls, waiting_on_stub),
           WB_FIELD(CancelBls, infer_payload_id), WB_FIELD(CancelBls, is_cancelled)}};
}

StructInfo DescribeMetricMessage() {
  return {"MetricMessage",
          sizeof(wire::MetricMessage),
          {WB_FIELD(MetricMessage, mu), WB_FIELD(MetricMessage, cv), WB_FIELD(MetricMessage, waiting_on_stub),
           WB_FIELD(MetricMessage, message), WB_FIELD(MetricMessage, has_error),
           WB_FIELD(MetricMessage, is_error_set), WB_FIELD(MetricMessage, error),
           WB_FIELD(MetricMessage, value), WB_FIELD(MetricMessage, address)}};
}

StructInfo DescribeModelLoaderMessage() {
  return {"ModelLoaderMessage",
          sizeof(wire::ModelLoaderMessage),
          {WB_FIELD(ModelLoaderMessage, mu), WB_FIELD(ModelLoaderMessage, cv),
           WB_FIELD(ModelLoaderMessage, waiting_on_stub), WB_FIELD(ModelLoaderMessage, message),
           WB_FIELD(ModelLoaderMessage, has_error), WB_FIELD(ModelLoaderMessage, is_error_set),
           WB_FIELD(ModelLoaderMessage, error), WB_FIELD(ModelLoaderMessage, is_model_ready)}};
}

StructInfo DescribeResponseSend() {
  return {
      "ResponseSend",
      sizeof(wire::ResponseSend),
      {WB_FIELD(ResponseSend, mu), WB_FIELD(ResponseSend, cv), WB_FIELD(ResponseSend, is_stub_turn),
       WB_FIELD(ResponseSend, has_error), WB_FIELD(ResponseSend, is_error_set), WB_FIELD(ResponseSend, error),
       WB_FIELD(ResponseSend, request_address), WB_FIELD(ResponseSend, response_factory_address),
       WB_FIELD(ResponseSend, response), WB_FIELD(ResponseSend, gpu_buffers), WB_FIELD(ResponseSend, flags)}};
}

StructInfo DescribeMetricFamily() {
  return {"MetricFamily",
          sizeof(wire::MetricFamily),
          {WB_FIELD(MetricFamily, name), WB_FIELD(MetricFamily, description), WB_FIELD(MetricFamily, kind),
           WB_FIELD(MetricFamily, address)}};
}

StructInfo DescribeMetricWithoutBuckets() {
  return {"MetricWithoutBuckets",
          sizeof(wire::MetricWithoutBuckets),
          {WB_FIELD(MetricWithoutBuckets, labels), WB_FIELD(MetricWithoutBuckets, operation_value),
           WB_FIELD(MetricWithoutBuckets, address), WB_FIELD(MetricWithoutBuckets, family_address)}};
}

StructInfo DescribeMetric() {
  return {"Metric",
          sizeof(wire::Metric),
          {WB_FIELD(Metric, labels), WB_FIELD(Metric, buckets), WB_FIELD(Metric, operation_value),
           WB_FIELD(Metric, address), WB_FIELD(Metric, family_address)}};
}

StructInfo DescribeModelLoader() {
  return {
      "ModelLoader",
      sizeof(wire::ModelLoader),
      {WB_FIELD(ModelLoader, name), WB_FIELD(ModelLoader, version), WB_FIELD(ModelLoader, unload_dependents),
       WB_FIELD(ModelLoader, config), WB_FIELD(ModelLoader, files)}};
}

StructInfo DescribeCudaPool() {
  return {"CudaPool",
          sizeof(wire::CudaPool),
          {WB_FIELD(CudaPool, mu), WB_FIELD(CudaPool, cv), WB_FIELD(CudaPool, waiting_on_stub),
           WB_FIELD(CudaPool, cuda_handle), WB_FIELD(CudaPool, device_id), WB_FIELD(CudaPool, error),
           WB_FIELD(CudaPool, has_error), WB_FIELD(CudaPool, is_error_set)}};
}

StructInfo DescribeUserReadiness() {
  return {"UserReadiness",
          sizeof(wire::UserReadiness),
          {WB_FIELD(UserReadiness, mu), WB_FIELD(UserReadiness, cv), WB_FIELD(UserReadiness, waiting_on_stub),
           WB_FIELD(UserReadiness, is_ready), WB_FIELD(UserReadiness, function_exists),
           WB_FIELD(UserReadiness, has_error), WB_FIELD(UserReadiness, is_error_set),
           WB_FIELD(UserReadiness, error)}};
}

}  // namespace

std::vector<StructInfo> DescribeLayout(const Release& release) {
  std::vector<StructInfo> all{DescribeQueue(),
                              DescribeMessage(),
                              DescribeString(),
                              DescribeMap(),
                              DescribePair(),
                              DescribeTensor(),
                              DescribeMemory(),
                              DescribeError(),
                              DescribeCorrelationId(),
                              DescribeTrace(),
                              DescribeRequest(),
                              DescribeRequestBatch(),
                              DescribeGpuBuffers(),
                              DescribeInitializeResponse(),
                              DescribeAutoCompleteResponse(),
                              DescribeLog(),
                              DescribeCleanup(),
                              DescribeIsCancelled(),
                              DescribeMetricMessage(),
                              DescribeModelLoaderMessage(),
                              DescribeResponseSend(),
                              DescribeMetricFamily(),
                              DescribeModelLoader(),
                              DescribeCudaPool()};
  StructInfo control = DescribeControl();
  if (!release.has_user_readiness)
    control.fields.erase(control.fields.begin() + 4);  // padding in those releases
  all.push_back(control);
  StructInfo batch = DescribeResponseBatch();
  batch.size = release.response_batch_size();
  if (batch.fields.back().offset >= batch.size) batch.fields.pop_back();
  all.push_back(batch);
  StructInfo response =
      release.has_response_parameters ? DescribeResponse() : DescribeResponseWithoutParameters();
  response.name = "Response";
  all.push_back(response);
  StructInfo metric = release.has_histogram ? DescribeMetric() : DescribeMetricWithoutBuckets();
  metric.name = "Metric";
  all.push_back(metric);
  if (release.has_cancel_bls) all.push_back(DescribeCancelBls());
  if (release.has_user_readiness) all.push_back(DescribeUserReadiness());
  return all;
}

}  // namespace wb
