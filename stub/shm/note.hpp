// A note on a block about who allocated it and why, for the inspector.
//
// It lies in the padding of the block's ownership header, which the protocol leaves unused: the other side,
// if it is not ours, neither writes nor reads it. So a note can be a dead one there, under a block that the
// other side has allocated since, and is believed only in regions where both sides leave notes.
#pragma once

#include <time.h>

#include <cstdint>
#include <optional>

#include "protocol/layout.hpp"

namespace wb {

enum class Origin : std::uint8_t {
  kOther = 0,
  kControl = 1,      // the parent's control block: the parent leaves notes
  kStubHealth = 2,   // the stub's health message: the stub leaves notes
  kRequest = 3,      // what the parent sends for execution
  kResponse = 4,     // what the model answers
  kBlsRequest = 5,   // what the model asks another model
  kBlsResponse = 6,  // and is answered
};

struct Note {
  Origin origin = Origin::kOther;
  std::uint32_t line = 0;     // of model.py, 0 if unknown; 20 bits
  std::uint32_t request = 0;  // the parent's number of it, 0 if unknown; 24 bits
  std::uint32_t time = 0;     // NoteTime() when it was allocated
};

// Milliseconds, from any start, going round after 49 days.
inline std::uint32_t NoteTime() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

inline constexpr std::uint32_t kNoteMark = 0x5742;  // the upper half of the first word

inline void WriteNote(wire::Ownership* at, const Note& note) {
  const std::uint32_t request = note.request & 0xffffff;
  at->padding[0] = kNoteMark << 16 | static_cast<std::uint32_t>(note.origin) << 12 | request >> 12;
  at->padding[1] = request << 20 | (note.line & 0xfffff);
  at->padding[2] = NoteTime();
}

inline void EraseNote(wire::Ownership* at) { at->padding[0] = 0; }

inline std::optional<Note> ReadNote(const wire::Ownership& from) {
  if (from.padding[0] >> 16 != kNoteMark) return std::nullopt;
  Note note;
  note.origin = static_cast<Origin>(from.padding[0] >> 12 & 0xf);
  note.request = (from.padding[0] & 0xfff) << 12 | from.padding[1] >> 20;
  note.line = from.padding[1] & 0xfffff;
  note.time = from.padding[2];
  return note;
}

// What this thread allocates while the scope lives is noted so. Scopes nest; the innermost counts.
class NoteScope {
 public:
  explicit NoteScope(Origin origin, std::uint32_t line = 0, std::uint32_t request = 0) : before_(Current()) {
    Current() = Note{origin, line, request, 0};
  }
  ~NoteScope() { Current() = before_; }
  NoteScope(const NoteScope&) = delete;
  NoteScope& operator=(const NoteScope&) = delete;

  static Note& Current() {
    static thread_local Note note;
    return note;
  }

 private:
  Note before_;
};

}  // namespace wb
