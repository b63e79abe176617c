// Memory of a forked process, copied ahead of time.
#pragma once

#include <cstddef>

namespace wb {

// Copies the pages that this process still shares with the one it was forked from and may write to, so that
// it need not when it is in a hurry: each first write to one costs a fault. Gives the number of bytes taken,
// at most `most`; 0 where the kernel (before 5.14) cannot do it.
std::size_t TakeOwnPages(std::size_t most);

}  // namespace wb
