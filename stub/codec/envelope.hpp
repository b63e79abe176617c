// The message itself: command, argument, and for some a mutex and condition to be answered on (protocol.md
// §4.1).
#pragma once

#include "protocol/releases.hpp"
#include "shm/pool.hpp"

namespace wb {

// A message this side made, or one it received; holds one reference of each of its objects.
class Envelope {
 public:
  static Envelope Create(Pool* pool, const Release& release, Command command, Handle args,
                         bool with_reply_slot);
  // Takes references. The command is kUnknown if this release has no such number.
  static Envelope Load(Pool* pool, const Release& release, Handle handle);

  Handle handle() const { return message_.handle(); }
  Command command() const { return command_; }
  Handle args() const { return data()->args; }
  void set_args(Handle args) { data()->args = args; }
  Handle response_handle() const { return data()->response_handle; }
  void set_response_handle(Handle handle) { data()->response_handle = handle; }
  void set_command(const Release& release, Command command);
  bool has_reply_slot() const { return static_cast<bool>(mutex_); }
  pthread_mutex_t* mutex() const { return mutex_.as<pthread_mutex_t>(); }
  pthread_cond_t* condition() const { return condition_.as<pthread_cond_t>(); }

 private:
  wire::Message* data() const { return message_.as<wire::Message>(); }

  Ref message_;
  Ref mutex_;
  Ref condition_;
  Command command_ = Command::kUnknown;
};

}  // namespace wb
