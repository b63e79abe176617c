// Where a model makes a call to another, as one number. Between our stub and our host it travels where the
// parent's trace object stands in a request (protocol.md §5.7): a number that is the parent's own, that a
// stub only hands back, and that our host never gives out. Never sent to another parent.
#pragma once

#include <cstdint>

namespace wb {

struct CallSite {
  std::uint32_t line = 0;   // of model.py, 0 if not known
  std::uint32_t order = 0;  // counts the calls of one process
  bool async = false;
};

// Environment variable that asks a stub for it: kCallSitesWanted, or a folder to write call records to.
inline constexpr const char* kTraceVariable = "TRITON_WORKBENCH_TRACE";
inline constexpr const char* kCallSitesWanted = "host";

inline constexpr std::uint64_t kCallSiteMark = 0xB1;  // in the top byte, which no address in user space has
inline constexpr int kLineBits = 24;
inline constexpr int kOrderBits = 30;

inline std::uint64_t PackCallSite(const CallSite& site) {
  const std::uint64_t line = site.line & ((1u << kLineBits) - 1);
  const std::uint64_t order = site.order & ((1u << kOrderBits) - 1);
  return kCallSiteMark << 56 | std::uint64_t{site.async} << 54 | order << kLineBits | line;
}

inline bool IsCallSite(std::uint64_t number) { return number >> 56 == kCallSiteMark; }

inline CallSite UnpackCallSite(std::uint64_t number) {
  CallSite site;
  site.line = static_cast<std::uint32_t>(number & ((1u << kLineBits) - 1));
  site.order = static_cast<std::uint32_t>(number >> kLineBits & ((1u << kOrderBits) - 1));
  site.async = (number >> 54 & 1) != 0;
  return site;
}

}  // namespace wb
