#include "protocol/commands.hpp"

namespace wb {

std::string_view Name(Command command) {
  switch (command) {
    case Command::kExecuteRequest:
      return "ExecuteRequest";
    case Command::kExecuteResponse:
      return "ExecuteResponse";
    case Command::kInitializeRequest:
      return "InitializeRequest";
    case Command::kInitializeResponse:
      return "InitializeResponse";
    case Command::kCudaPoolInitialize:
      return "CudaPoolInitialize";
    case Command::kFinalizeRequest:
      return "FinalizeRequest";
    case Command::kFinalizeResponse:
      return "FinalizeResponse";
    case Command::kLoadGpuBuffers:
      return "LoadGpuBuffers";
    case Command::kInferExecRequest:
      return "InferExecRequest";
    case Command::kInferStreamExecRequest:
      return "InferStreamExecRequest";
    case Command::kInferExecResponse:
      return "InferExecResponse";
    case Command::kInferStreamExecResponse:
      return "InferStreamExecResponse";
    case Command::kResponseSend:
      return "ResponseSend";
    case Command::kResponseClose:
      return "ResponseClose";
    case Command::kAutoCompleteRequest:
      return "AutoCompleteRequest";
    case Command::kAutoCompleteResponse:
      return "AutoCompleteResponse";
    case Command::kLog:
      return "Log";
    case Command::kBlsCleanup:
      return "BlsCleanup";
    case Command::kResponseFactoryCleanup:
      return "ResponseFactoryCleanup";
    case Command::kMetricFamilyNew:
      return "MetricFamilyNew";
    case Command::kMetricFamilyDelete:
      return "MetricFamilyDelete";
    case Command::kMetricNew:
      return "MetricNew";
    case Command::kMetricDelete:
      return "MetricDelete";
    case Command::kMetricValue:
      return "MetricValue";
    case Command::kMetricIncrement:
      return "MetricIncrement";
    case Command::kMetricSet:
      return "MetricSet";
    case Command::kMetricObserve:
      return "MetricObserve";
    case Command::kLoadModel:
      return "LoadModel";
    case Command::kUnloadModel:
      return "UnloadModel";
    case Command::kModelReadiness:
      return "ModelReadiness";
    case Command::kIsCancelled:
      return "IsCancelled";
    case Command::kCancelBls:
      return "CancelBls";
    case Command::kUserReadiness:
      return "UserReadiness";
    case Command::kUnknown:
      break;
  }
  return "Unknown";
}

}  // namespace wb
