// Wire structures as data: names, offsets, sizes per release, for the inspector, the tests and the
// documentation.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "protocol/releases.hpp"

namespace wb {

struct FieldInfo {
  std::string_view name;
  std::size_t offset;
  std::size_t size;
};

struct StructInfo {
  std::string_view name;
  std::size_t size;
  std::vector<FieldInfo> fields;
};

std::vector<StructInfo> DescribeLayout(const Release& release);

}  // namespace wb
