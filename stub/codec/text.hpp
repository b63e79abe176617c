// Strings, string maps and the error triple on the wire (protocol.md §5.1, §5.2, §5.5).
//
// Writers put every object they make into `keep`; the message stays valid as long as `keep` lives. Readers
// copy, without touching counts: the writer holds the objects until it was answered.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "codec/values.hpp"

namespace wb {

// memcpy, also of nothing: a vector without entries gives no pointer, which memcpy may not be given.
inline void Copy(void* to, const void* from, std::size_t size) {
  if (size > 0) std::memcpy(to, from, size);
}

Handle WriteString(Pool* pool, std::string_view text, Refs* keep);
std::string ReadString(Pool* pool, Handle handle);
// "" for handle 0.
std::string ReadOptionalString(Pool* pool, Handle handle);

using StringMap = std::map<std::string, std::string>;
Handle WriteMap(Pool* pool, const StringMap& map, Refs* keep);
StringMap ReadMap(Pool* pool, Handle handle);

Handle WriteError(Pool* pool, const ErrorValue& error, Refs* keep);
ErrorValue ReadError(Pool* pool, Handle handle);

}  // namespace wb
