// Errors of the C++ floors. Doors never see them raw: _host and _stub translate them at their border.
#pragma once

#include <stdexcept>
#include <string>

namespace wb {

// Codes a model can put into a TritonError; the numbers are the wire's (protocol.md §5.5).
enum class ErrorCode : int {
  kUnknown = 0,
  kInternal = 1,
  kNotFound = 2,
  kInvalidArg = 3,
  kUnavailable = 4,
  kUnsupported = 5,
  kAlreadyExists = 6,
  kCancelled = 7,
};

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The region cannot grow to hold what was asked for. Nothing was changed.
class PoolExhausted : public Error {
 public:
  using Error::Error;
};

// A lock of the region died with its owner, or the content contradicts itself: the region must be given up.
class RegionBroken : public Error {
 public:
  using Error::Error;
};

// That lock died with its owner, which is how the owner's end may show first.
class LockDied : public RegionBroken {
 public:
  using RegionBroken::RegionBroken;
};

// A wait reached its deadline while the other side still lives.
class TimedOut : public Error {
 public:
  using Error::Error;
};

// The process on the other side is gone.
class PeerGone : public Error {
 public:
  using Error::Error;
};

}  // namespace wb
