// The messages two sides exchange, in an enumeration of our own. Wire numbers differ between releases:
// releases.hpp translates.
#pragma once

#include <string_view>

namespace wb {

enum class Command : int {
  kExecuteRequest = 0,
  kExecuteResponse = 1,
  kInitializeRequest = 2,
  kInitializeResponse = 3,
  kCudaPoolInitialize = 4,
  kFinalizeRequest = 5,
  kFinalizeResponse = 6,
  kLoadGpuBuffers = 7,
  kInferExecRequest = 8,
  kInferStreamExecRequest = 9,
  kInferExecResponse = 10,
  kInferStreamExecResponse = 11,
  kResponseSend = 12,
  kResponseClose = 13,
  kAutoCompleteRequest = 14,
  kAutoCompleteResponse = 15,
  kLog = 16,
  kBlsCleanup = 17,
  kResponseFactoryCleanup = 18,
  kMetricFamilyNew = 19,
  kMetricFamilyDelete = 20,
  kMetricNew = 21,
  kMetricDelete = 22,
  kMetricValue = 23,
  kMetricIncrement = 24,
  kMetricSet = 25,
  kMetricObserve = 26,
  kLoadModel = 27,
  kUnloadModel = 28,
  kModelReadiness = 29,
  kIsCancelled = 30,
  kCancelBls = 31,
  kUserReadiness = 32,
  kUnknown = 1000,
};

std::string_view Name(Command command);

}  // namespace wb
