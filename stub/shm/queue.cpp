#include "shm/queue.hpp"

#include "protocol/error.hpp"

namespace wb {

Queue Queue::Create(Pool* pool, std::size_t size) {
  Queue queue;
  queue.queue_ = pool->AllocateAs<wire::Queue>();
  queue.buffer_ = pool->Allocate(size * sizeof(Handle));
  queue.data_ = queue.queue_.as<wire::Queue>();
  queue.slots_ = queue.buffer_.as<Handle>();
  queue.size_ = size;
  sem_init(&queue.data_->empty, 1, static_cast<unsigned>(size));
  sem_init(&queue.data_->full, 1, 0);
  InitMutex(&queue.data_->mutex);
  queue.data_->size = size;
  queue.data_->buffer = queue.buffer_.handle();
  return queue;
}

Queue Queue::Load(Pool* pool, Handle handle) {
  Queue queue;
  queue.queue_ = pool->Load(handle);
  queue.data_ = pool->At<wire::Queue>(handle);
  queue.size_ = queue.data_->size;
  constexpr std::size_t kMost = std::size_t{1} << 24;
  if (queue.size_ == 0 || queue.size_ > kMost) throw RegionBroken("a message queue has an impossible size");
  const Handle buffer = queue.data_->buffer;
  pool->At(buffer, queue.size_ * sizeof(Handle));
  queue.buffer_ = pool->Load(buffer);
  queue.slots_ = queue.buffer_.as<Handle>();
  return queue;
}

bool Queue::Push(Handle value, const Deadline& deadline) {
  if (!WaitSemaphore(&data_->empty, deadline)) return false;
  if (!LockMutex(&data_->mutex, deadline)) {
    sem_post(&data_->empty);
    return false;
  }
  const auto head = static_cast<std::size_t>(data_->head);
  if (head >= size_) {
    UnlockMutex(&data_->mutex);
    sem_post(&data_->empty);
    throw RegionBroken("a message queue's head lies outside of its buffer");
  }
  slots_[head] = value;
  data_->head = static_cast<std::int32_t>((head + 1) % size_);
  UnlockMutex(&data_->mutex);
  sem_post(&data_->full);
  return true;
}

std::optional<Handle> Queue::Pop(const Deadline& deadline, Spin* spin) {
  if (!WaitSemaphore(&data_->full, deadline, spin)) return std::nullopt;
  if (!LockMutex(&data_->mutex, deadline)) {
    sem_post(&data_->full);
    return std::nullopt;
  }
  const auto tail = static_cast<std::size_t>(data_->tail);
  if (tail >= size_) {
    UnlockMutex(&data_->mutex);
    sem_post(&data_->full);
    throw RegionBroken("a message queue's tail lies outside of its buffer");
  }
  const Handle value = slots_[tail];
  data_->tail = static_cast<std::int32_t>((tail + 1) % size_);
  UnlockMutex(&data_->mutex);
  sem_post(&data_->empty);
  return value;
}

int Queue::Depth() const {
  int used = 0;
  sem_getvalue(&data_->full, &used);
  return used;
}

}  // namespace wb
