#include "inspect/walk.hpp"

#include <sched.h>

#include <algorithm>
#include <chrono>

#include "protocol/segment.hpp"

namespace wb {

namespace {

using wire::BlockHeader;
using wire::kUnit;

// "" if the walk came out right. The allocator keeps its books in several places (header, flags of the next
// block, sizes at both ends of a free block); all of them have to agree.
std::string WalkOnce(RegionReader* reader, Walk* walk) {
  *walk = Walk();
  walk->file_size = reader->FileSize();
  wire::SegmentHeader header;
  if (!reader->Read(0, &header)) return "it is too short";
  constexpr std::uint64_t kMostNames = 4096;
  if (header.names_bytes > kMostNames) return "it has no allocator of the kind that the Python backend uses";
  const std::uint64_t first = (sizeof(header) + header.names_bytes + kUnit - 1) / kUnit * kUnit;
  if (header.size > walk->file_size) return "its allocator claims more than the file holds";
  if (header.size < first + (wire::kLeastUnits + 1) * kUnit) return "its allocator has no room for a block";
  if (header.allocated > header.size - first)
    return "its allocator claims to have given away more than it has";
  walk->capacity = header.size;
  walk->free_memory = header.size - first - header.allocated;

  BlockHeader block;
  if (!reader->Read(first, &block)) return "its first block is not there";
  const std::uint64_t distance = block.previous_units;
  if (distance < wire::kLeastUnits || distance > (header.size - first) / kUnit - 1) {
    return "its last block lies outside";
  }
  const std::uint64_t end = first + distance * kUnit;
  std::uint64_t at = first;
  std::uint64_t free_blocks = 0;
  bool previous_used = true;
  std::uint64_t previous_units = 0;
  while (at < end) {
    if (!reader->Read(at, &block)) return "a block is not there";
    const std::uint64_t units = block.units_and_flags & wire::kUnitsMask;
    const bool used = (block.units_and_flags & wire::kBlockAllocated) != 0;
    if (units < wire::kLeastUnits || units > (end - at) / kUnit) return "a block has an impossible size";
    if (((block.units_and_flags & wire::kPreviousAllocated) != 0) != previous_used) {
      return "a block and the one before it disagree";
    }
    if (!previous_used) {
      if (block.previous_units != previous_units) return "a free block has two sizes";
      if (!used) return "two free blocks lie side by side";
    }
    const std::uint64_t bytes = units * kUnit;
    walk->blocks.push_back({static_cast<Handle>(at + sizeof(BlockHeader)), bytes, used});
    if (used) {
      walk->used += bytes;
    } else {
      walk->free += bytes;
      walk->largest_free = std::max(walk->largest_free, bytes);
      ++free_blocks;
    }
    previous_used = used;
    previous_units = units;
    at += bytes;
  }
  if (!reader->Read(end, &block)) return "its end mark is not there";
  if ((block.units_and_flags & wire::kUnitsMask) != distance ||
      (block.units_and_flags & wire::kBlockAllocated) == 0 ||
      ((block.units_and_flags & wire::kPreviousAllocated) != 0) != previous_used) {
    return "its end mark is wrong";
  }
  if (walk->used != header.allocated) return "its blocks do not add up to what its allocator has given away";
  if (free_blocks != header.free_blocks) return "its allocator knows of another number of free blocks";
  walk->overhead = header.size - walk->used - walk->free;
  return "";
}

bool Same(const Walk& a, const Walk& b) {
  const auto same_block = [](const Block& x, const Block& y) {
    return x.handle == y.handle && x.bytes == y.bytes && x.used == y.used;
  };
  return a.capacity == b.capacity && a.free_memory == b.free_memory && a.blocks.size() == b.blocks.size() &&
         std::equal(a.blocks.begin(), a.blocks.end(), b.blocks.begin(), same_block);
}

}  // namespace

WalkResult WalkRegion(RegionReader* reader, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  WalkResult result;
  Walk before;
  bool have_before = false;
  std::string problem;
  for (;;) {
    reader->Refresh();
    Walk now;
    problem = WalkOnce(reader, &now);
    ++result.attempts;
    if (problem.empty()) {
      if (have_before && Same(before, now)) {
        result.walk = std::move(now);
        result.steady = true;
        return result;
      }
      before = std::move(now);
      have_before = true;
    }
    if (result.attempts >= 2 && std::chrono::steady_clock::now() >= end) break;
    // Whoever is changing the region needs a processor to be done with it.
    if (!problem.empty()) sched_yield();
  }
  if (have_before) {
    result.walk = std::move(before);
  } else {
    result.problem = problem;
  }
  return result;
}

}  // namespace wb
