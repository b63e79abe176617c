#include "codec/response.hpp"

#include <cstring>

#include "codec/tensor.hpp"
#include "codec/text.hpp"

namespace wb {

namespace {

constexpr std::uint32_t kMostEntries = 1u << 20;

template <typename Wire>
Handle WriteResponseAs(Pool* pool, const ResponseValue& response, const std::vector<Handle>& outputs,
                       Refs* keep) {
  Ref object = pool->Allocate(sizeof(Wire) + outputs.size() * sizeof(Handle));
  Wire data{};
  data.outputs_size = static_cast<std::uint32_t>(outputs.size());
  data.has_error = response.error.has_value();
  data.is_error_set = data.has_error;
  data.id = response.id;
  data.is_last_response = response.is_last;
  if (response.error) {
    data.error = WriteError(pool, *response.error, keep);
  } else if constexpr (std::is_same_v<Wire, wire::Response>) {
    data.parameters = WriteString(pool, response.parameters, keep);
  }
  std::memcpy(object.data(), &data, sizeof(data));
  Copy(object.data() + sizeof(data), outputs.data(), outputs.size() * sizeof(Handle));
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

template <typename Wire>
ResponseValue ReadResponseAs(const std::shared_ptr<Pool>& pool, Handle handle) {
  const Wire data = *pool->At<Wire>(handle);
  ResponseValue response;
  response.id = data.id;
  response.is_last = data.is_last_response;
  if (data.has_error) {
    response.error = data.is_error_set ? ReadError(pool.get(), data.error)
                                       : ErrorValue{ErrorCode::kInternal,
                                                    "the model answered with an error whose text was lost"};
    return response;
  }
  if constexpr (std::is_same_v<Wire, wire::Response>) {
    response.parameters = ReadOptionalString(pool.get(), data.parameters);
  }
  if (data.outputs_size > kMostEntries) throw RegionBroken("a response has an impossible number of outputs");
  const char* payload = pool->At(handle, sizeof(Wire) + data.outputs_size * sizeof(Handle));
  const auto* handles = reinterpret_cast<const Handle*>(payload + sizeof(Wire));
  response.outputs.reserve(data.outputs_size);
  Pool::Guard guard(pool.get());
  for (std::uint32_t i = 0; i < data.outputs_size; ++i)
    response.outputs.push_back(ReadTensor(pool, handles[i]));
  return response;
}

// `at` has room for the batch and its handles.
void FillBatch(Pool* pool, const Release& release, const ResponseBatchValue& batch, char* at, Refs* keep) {
  const std::size_t size = release.response_batch_size();
  std::memset(at, 0, size);
  auto* data = reinterpret_cast<wire::ResponseBatch*>(at);
  data->batch_size = static_cast<std::uint32_t>(batch.responses.size());
  data->response_size = data->batch_size;
  data->has_error = batch.has_error;
  if (batch.has_error) {
    data->error = WriteString(pool, batch.error, keep);
    data->is_error_set = true;
  }
  if (size > offsetof(wire::ResponseBatch, is_response_factory_deleted)) {
    data->is_response_factory_deleted = batch.factories_deleted;
  }
  Copy(at + size, batch.responses.data(), batch.responses.size() * sizeof(Handle));
}

ResponseBatchValue ParseBatch(Pool* pool, const Release& release, Handle object, std::size_t offset,
                              bool with_handles) {
  const std::size_t size = release.response_batch_size();
  const char* at = pool->At(object, offset + size) + offset;
  const auto* data = reinterpret_cast<const wire::ResponseBatch*>(at);
  ResponseBatchValue batch;
  batch.has_error = data->has_error;
  if (batch.has_error) {
    batch.error =
        data->is_error_set ? ReadString(pool, data->error) : "the model failed and its error text was lost";
    if (size > offsetof(wire::ResponseBatch, is_response_factory_deleted)) {
      batch.factories_deleted = data->is_response_factory_deleted;
    }
    return batch;
  }
  if (!with_handles) return batch;
  const std::uint32_t count = data->batch_size;
  if (count > kMostEntries) throw RegionBroken("a response batch has an impossible size");
  at = pool->At(object, offset + size + count * sizeof(Handle)) + offset + size;
  batch.responses.resize(count);
  Copy(batch.responses.data(), at, count * sizeof(Handle));
  return batch;
}

}  // namespace

Handle WriteResponse(Pool* pool, const Release& release, const ResponseValue& response, Refs* keep) {
  std::vector<Handle> outputs;
  if (!response.error) {
    for (const TensorValue& output : response.outputs) outputs.push_back(WriteTensor(pool, output, keep));
  }
  Pool::Guard guard(pool);
  return release.has_response_parameters
             ? WriteResponseAs<wire::Response>(pool, response, outputs, keep)
             : WriteResponseAs<wire::ResponseWithoutParameters>(pool, response, outputs, keep);
}

ResponseValue ReadResponse(const std::shared_ptr<Pool>& pool, const Release& release, Handle handle) {
  return release.has_response_parameters ? ReadResponseAs<wire::Response>(pool, handle)
                                         : ReadResponseAs<wire::ResponseWithoutParameters>(pool, handle);
}

Handle WriteResponseBatch(Pool* pool, const Release& release, const ResponseBatchValue& batch, Refs* keep) {
  Ref object = pool->Allocate(release.response_batch_size() + batch.responses.size() * sizeof(Handle));
  FillBatch(pool, release, batch, object.data(), keep);
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

ResponseBatchValue ReadResponseBatch(Pool* pool, const Release& release, Handle handle) {
  return ParseBatch(pool, release, handle, 0, true);
}

Handle WriteExecuteResponse(Pool* pool, const Release& release, const ResponseBatchValue& batch, Refs* keep) {
  const bool is_inline = release.execute_path == ExecutePath::kInline;
  const std::size_t batch_size = release.response_batch_size() + batch.responses.size() * sizeof(Handle);
  Ref object = pool->Allocate(sizeof(wire::Message) + (is_inline ? batch_size : 0));
  auto* message = object.as<wire::Message>();
  std::memset(message, 0, sizeof(*message));
  message->command = *release.ToWire(Command::kExecuteResponse);
  if (is_inline) {
    message->args = object.handle() + static_cast<Handle>(sizeof(wire::Message));
    FillBatch(pool, release, batch, object.data() + sizeof(wire::Message), keep);
  } else {
    message->args = WriteResponseBatch(pool, release, batch, keep);
  }
  const Handle handle = object.handle();
  keep->push_back(std::move(object));
  return handle;
}

ResponseBatchValue ReadExecuteResponse(Pool* pool, const Release& release, Handle message,
                                       bool with_handles) {
  if (release.execute_path == ExecutePath::kInline) {
    return ParseBatch(pool, release, message, sizeof(wire::Message), with_handles);
  }
  return ParseBatch(pool, release, pool->At<wire::Message>(message)->args, 0, with_handles);
}

}  // namespace wb
