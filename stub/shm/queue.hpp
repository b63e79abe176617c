// One message queue of the protocol: a ring of handles between two processes (protocol.md §3).
#pragma once

#include <optional>

#include "shm/pool.hpp"
#include "shm/sync.hpp"

namespace wb {

class Queue {
 public:
  static Queue Create(Pool* pool, std::size_t size);
  // Keeps a reference on the queue and its buffer until destroyed.
  static Queue Load(Pool* pool, Handle handle);

  Queue() = default;

  Handle handle() const { return queue_.handle(); }
  // False if no slot came free in time. The caller keeps its reference to what it pushes.
  bool Push(Handle value, const Deadline& deadline = Deadline::Never());
  // Nothing if no message came in time.
  std::optional<Handle> Pop(const Deadline& deadline = Deadline::Never(), Spin* spin = nullptr);
  // Messages waiting; a moment's value.
  int Depth() const;

 private:
  Ref queue_;
  Ref buffer_;
  wire::Queue* data_ = nullptr;
  Handle* slots_ = nullptr;
  std::size_t size_ = 0;  // as it was when loaded: later changes by the other side are not believed
};

}  // namespace wb
