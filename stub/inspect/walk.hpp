// The blocks of a region's allocator as they lay at one moment, without its lock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/region_reader.hpp"
#include "protocol/layout.hpp"

namespace wb {

struct Block {
  Handle handle = 0;        // of its user: 16 bytes behind the block's own header
  std::uint64_t bytes = 0;  // header included
  bool used = false;
};

struct Walk {
  std::uint64_t file_size = 0;
  std::uint64_t capacity = 0;     // what the allocator knows of
  std::uint64_t free_memory = 0;  // the allocator's own figure (get_free_memory)
  std::uint64_t overhead = 0;     // in no block: the allocator's header, its end mark, what growth left over
  std::uint64_t used = 0;         // in blocks, their headers included
  std::uint64_t free = 0;
  std::uint64_t largest_free = 0;
  std::vector<Block> blocks;  // in order of address
};

struct WalkResult {
  Walk walk;
  bool steady = false;  // two walks in a row gave the same, so it is what was there at one moment
  int attempts = 0;
  std::string problem;  // why there is no walk at all; "" if there is one
};

// Walks until two walks agree, at most `seconds` long. Every number is checked against the bounds before it
// is used, and no walk takes more steps than a region of that size can have blocks.
WalkResult WalkRegion(RegionReader* reader, double seconds);

}  // namespace wb
