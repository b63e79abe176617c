// Which line of model.py runs: line N of it is line N of the cell.
#pragma once

#include <cstdint>
#include <string>

namespace wb {

// A stub process runs one model; said once, before it runs.
void SetModelFile(const std::string& path);

// The innermost line of the model in this thread's stack; 0 where there is none. With the GIL.
std::uint32_t ModelLine();

}  // namespace wb
