// The stub's main thread: commands of the parent, one after the other (protocol.md §1.3, §7).
#pragma once

#include "runtime/bls.hpp"
#include "runtime/liveness.hpp"
#include "runtime/model_instance.hpp"
#include "runtime/stub.hpp"

namespace wb {

class CommandLoop {
 public:
  explicit CommandLoop(Stub* stub) : stub_(stub), model_(stub), liveness_(stub), pushes_(stub) {}

  // Runs until the parent ends the conversation. Needs the GIL, which is released while waiting.
  // The loop must outlive the process: threads of it may wait for a push for ever, or for `is_ready` of the
  // model.
  void Run();

 private:
  void Converse();
  void StopLiveness();
  // False: the conversation is over.
  bool Dispatch(Envelope* command);
  bool AutoComplete(const Envelope& command);
  bool Initialize(const Envelope& command);
  void Execute(const Envelope& command);
  void Finalize(Envelope* command);
  // Pushes the answer and waits until the parent has taken it over; then what it names may go.
  void Answer(Handle message);
  void StopThreads();

  Stub* stub_;
  ModelInstance model_;
  Liveness liveness_;
  PushReceiver pushes_;
};

}  // namespace wb
