// Triton's tensor datatypes: wire number, KServe name, element size (protocol.md §5.3).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace wb {

enum class DataType : std::int32_t {
  kInvalid = 0,
  kBool = 1,
  kUint8 = 2,
  kUint16 = 3,
  kUint32 = 4,
  kUint64 = 5,
  kInt8 = 6,
  kInt16 = 7,
  kInt32 = 8,
  kInt64 = 9,
  kFp16 = 10,
  kFp32 = 11,
  kFp64 = 12,
  kBytes = 13,
  kBf16 = 14,
};

struct DataTypeInfo {
  std::string_view name;
  std::size_t element_size;  // 0: variable (BYTES) or invalid
};

inline constexpr std::array<DataTypeInfo, 15> kDataTypes{{
    {"INVALID", 0},
    {"BOOL", 1},
    {"UINT8", 1},
    {"UINT16", 2},
    {"UINT32", 4},
    {"UINT64", 8},
    {"INT8", 1},
    {"INT16", 2},
    {"INT32", 4},
    {"INT64", 8},
    {"FP16", 2},
    {"FP32", 4},
    {"FP64", 8},
    {"BYTES", 0},
    {"BF16", 2},
}};

inline constexpr bool IsValid(DataType type) {
  return static_cast<int>(type) > 0 && static_cast<int>(type) < static_cast<int>(kDataTypes.size());
}

inline constexpr const DataTypeInfo& Info(DataType type) {
  return kDataTypes[IsValid(type) ? static_cast<std::size_t>(type) : 0];
}

enum class MemoryType : std::int32_t { kCpu = 0, kCpuPinned = 1, kGpu = 2 };

}  // namespace wb
