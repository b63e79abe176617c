// One whole life of a stub, in both of its forms.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/stub.hpp"

namespace wb {

// Exit codes (protocol.md §6.6).
inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;

// Everything that needs no interpreter: arguments, signals, release, region. Prints what is wrong and gives
// null. `stub_directory`: where the stub itself lies; a marker file there may name the release.
std::unique_ptr<Stub> PrepareStub(const std::vector<std::string>& arguments,
                                  const std::string& stub_directory);

// The rest, with the interpreter running and the GIL held. Gives the exit code.
int RunStub(Stub* stub);

}  // namespace wb
