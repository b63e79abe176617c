#include "codec/text.hpp"

#include <cstring>

namespace wb {

Handle WriteString(Pool* pool, std::string_view text, Refs* keep) {
  Pool::Guard guard(pool);
  Ref data = pool->Allocate(text.size());
  std::memcpy(data.data(), text.data(), text.size());
  Ref header = pool->AllocateAs<wire::String>();
  header.as<wire::String>()->data = data.handle();
  header.as<wire::String>()->length = text.size();
  const Handle handle = header.handle();
  keep->push_back(std::move(data));
  keep->push_back(std::move(header));
  return handle;
}

std::string ReadString(Pool* pool, Handle handle) {
  const auto* header = pool->At<wire::String>(handle);
  const std::size_t length = header->length;
  return std::string(pool->At(header->data, length), length);
}

std::string ReadOptionalString(Pool* pool, Handle handle) {
  return handle == 0 ? std::string() : ReadString(pool, handle);
}

Handle WriteMap(Pool* pool, const StringMap& map, Refs* keep) {
  Pool::Guard guard(pool);
  Ref pairs = pool->Allocate(map.size() * sizeof(wire::Pair));
  auto* pair = pairs.as<wire::Pair>();
  for (const auto& [key, value] : map) {
    pair->key = WriteString(pool, key, keep);
    pair->value = WriteString(pool, value, keep);
    ++pair;
  }
  Ref header = pool->AllocateAs<wire::Map>();
  header.as<wire::Map>()->length = static_cast<std::uint32_t>(map.size());
  header.as<wire::Map>()->values = pairs.handle();
  const Handle handle = header.handle();
  keep->push_back(std::move(pairs));
  keep->push_back(std::move(header));
  return handle;
}

StringMap ReadMap(Pool* pool, Handle handle) {
  StringMap map;
  const auto* header = pool->At<wire::Map>(handle);
  const std::uint32_t length = header->length;
  if (length == 0) return map;
  const auto* pairs = reinterpret_cast<wire::Pair*>(pool->At(header->values, length * sizeof(wire::Pair)));
  for (std::uint32_t i = 0; i < length; ++i) {
    map[ReadString(pool, pairs[i].key)] = ReadString(pool, pairs[i].value);
  }
  return map;
}

Handle WriteError(Pool* pool, const ErrorValue& error, Refs* keep) {
  const Handle message = WriteString(pool, error.message, keep);
  Ref ref = pool->AllocateAs<wire::Error>();
  ref.as<wire::Error>()->code = static_cast<std::int32_t>(error.code);
  ref.as<wire::Error>()->message = message;
  const Handle handle = ref.handle();
  keep->push_back(std::move(ref));
  return handle;
}

ErrorValue ReadError(Pool* pool, Handle handle) {
  const auto* error = pool->At<wire::Error>(handle);
  ErrorValue value;
  const int code = error->code;
  constexpr int kLastCode = static_cast<int>(ErrorCode::kCancelled);
  value.code = code >= 0 && code <= kLastCode ? static_cast<ErrorCode>(code) : ErrorCode::kInternal;
  value.message = ReadString(pool, error->message);
  return value;
}

}  // namespace wb
