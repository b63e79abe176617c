// How Boost.Interprocess lays out the allocator of a region (managed_external_buffer with the red-black-tree
// best fit, protocol.md §2), for whoever only reads it. Boost itself writes these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wb::wire {

// At the start of the region. All sizes in bytes.
struct SegmentHeader {
  std::uint64_t free_blocks;
  std::int64_t tree[3];       // of the free blocks; distances, only right at their own place
  std::uint64_t names_bytes;  // of the two indexes of names behind this header
  std::uint64_t allocated;    // sum of the used blocks, their headers included
  std::uint64_t size;
};
static_assert(sizeof(SegmentHeader) == 56);

inline constexpr std::uint64_t kUnit = 16;
inline constexpr std::uint64_t kLeastUnits = 3;
inline constexpr std::uint64_t kBlockAllocated = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kPreviousAllocated = std::uint64_t{1} << 62;
inline constexpr std::uint64_t kUnitsMask = kPreviousAllocated - 1;

// Before every block. The first block's `previous_units` and the end block's own units are both the distance
// between the two; another block's `previous_units` means something only while the block before it is free,
// and belongs to that block's user while it is not.
struct BlockHeader {
  std::uint64_t previous_units;
  std::uint64_t units_and_flags;
};
static_assert(sizeof(BlockHeader) == kUnit);
// What a user of a block of `units` has: to the end of it, and the first word of the next header.
constexpr std::uint64_t UsableBytes(std::uint64_t units) {
  return units * kUnit - sizeof(BlockHeader) + sizeof(std::uint64_t);
}

// At the start of a block that holds a named object; then follow the value and the name.
struct NamedHeader {
  std::int64_t tree[3];
  std::uint64_t value_bytes;
  std::uint16_t name_length;
  std::uint8_t value_alignment;
  std::uint8_t type_and_character_size;
};
static_assert(offsetof(NamedHeader, name_length) == 32);
inline constexpr std::uint64_t kNamedValue = 40;  // of an 8-aligned value
inline constexpr std::uint8_t kNamedType = 0x21;  // a named object, one byte a character

}  // namespace wb::wire
