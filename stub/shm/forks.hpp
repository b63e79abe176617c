// Whether this process is the one that made something, or a child that was forked since.
#pragma once

namespace wb {

// How many forks lie between this process and the one that loaded this code. What a child inherits is a copy
// of something that its parent still uses, without its threads: it gives back nothing, ends nothing and
// removes nothing.
unsigned Forks();

}  // namespace wb
