#include "codec/envelope.hpp"

#include "protocol/error.hpp"
#include "shm/sync.hpp"

namespace wb {

Envelope Envelope::Create(Pool* pool, const Release& release, Command command, Handle args,
                          bool with_reply_slot) {
  const auto number = release.ToWire(command);
  if (!number) {
    throw Error(std::string(Name(command)) + " does not exist in release " + std::string(release.name));
  }
  Pool::Guard guard(pool);
  Envelope envelope;
  envelope.command_ = command;
  envelope.message_ = pool->AllocateAs<wire::Message>();
  envelope.data()->command = *number;
  envelope.data()->args = args;
  envelope.data()->inline_response = with_reply_slot;
  if (with_reply_slot) {
    envelope.mutex_ = pool->Allocate(sizeof(pthread_mutex_t), true);
    envelope.condition_ = pool->Allocate(sizeof(pthread_cond_t), true);
    InitMutex(envelope.mutex());
    InitCondition(envelope.condition());
    envelope.data()->response_mutex = envelope.mutex_.handle();
    envelope.data()->response_cond = envelope.condition_.handle();
  }
  return envelope;
}

Envelope Envelope::Load(Pool* pool, const Release& release, Handle handle) {
  Pool::Guard guard(pool);
  Envelope envelope;
  envelope.message_ = pool->Load(handle);
  pool->At<wire::Message>(handle);
  envelope.command_ = release.FromWire(envelope.data()->command);
  if (envelope.data()->inline_response) {
    const Handle mutex = envelope.data()->response_mutex;
    const Handle condition = envelope.data()->response_cond;
    pool->At(mutex, sizeof(pthread_mutex_t));
    pool->At(condition, sizeof(pthread_cond_t));
    envelope.mutex_ = pool->Load(mutex);
    envelope.condition_ = pool->Load(condition);
  }
  return envelope;
}

void Envelope::set_command(const Release& release, Command command) {
  data()->command = release.ToWire(command).value_or(-1);
  command_ = command;
}

}  // namespace wb
