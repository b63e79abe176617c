// Strings that come again in every request (a model's name, its outputs, an empty id), written into a region
// once.
//
// The reader of a request takes counted references and never writes into a string, so many requests may name
// the same object.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "codec/values.hpp"

namespace wb {

class SharedTexts {
 public:
  explicit SharedTexts(Pool* pool) : pool_(pool) {}
  // Handle of a string that stays as long as this object, or 0: too long or too many, write one of your own.
  // Hold the region's lock if you hold others. Throws PoolExhausted.
  Handle Find(std::string_view text);
  // The same for the correlation id 0 and for the empty trace.
  Handle NoCorrelationId();
  Handle NoTrace();

 private:
  Handle Keep(std::string_view text);

  Pool* pool_;
  std::map<std::string, Handle, std::less<>> texts_;  // guarded by the region's lock
  Handle no_correlation_id_ = 0;
  Handle no_trace_ = 0;
  Refs refs_;
};

}  // namespace wb
