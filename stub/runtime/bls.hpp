// The responses of a streamed BLS call: what a model knows as ResponseIterator (pb_utils.md §2.5).
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/response.hpp"
#include "runtime/stub.hpp"

namespace wb {

class ResponseIterator {
 public:
  // `record`: null, or what is to hear of the responses.
  ResponseIterator(Stub* stub, ResponseValue first, std::unique_ptr<CallRecord> record);
  // Takes what still comes, so that nothing of the stream stays behind.
  ~ResponseIterator();

  // Next response, or null at the end. With the GIL, which is released while waiting; several threads may
  // wait.
  std::shared_ptr<PyResponse> Next();
  // Starts over, if the end had been reached.
  void Restart();
  // Asks the parent to cancel the running request. With the GIL.
  void Cancel();

 private:
  // The end was reached: the parent may forget the call.
  void CleanUp();
  void Take(ResponseValue response);

  Stub* stub_;
  std::uint64_t id_;
  std::shared_ptr<ResponseStream> stream_;  // null: nothing more to come
  std::vector<std::shared_ptr<PyResponse>> responses_;
  std::size_t position_ = 0;
  bool at_end_ = false;
  std::unique_ptr<CallRecord> record_;
};

// Serves the parent's pushes (queue p2s) until it is told to stop; runs on a thread of its own, without the
// GIL.
class PushReceiver {
 public:
  explicit PushReceiver(Stub* stub) : stub_(stub) {}
  // `is_ready`: answers UserReadiness; set before Start, needs no GIL held.
  struct Readiness {
    bool is_ready = false;
    std::string error;
  };
  void Start(std::function<Readiness()> is_ready);
  void Stop();

 private:
  void Run();
  void Dispatch(Handle handle);
  void TakeStreamResponse(const Envelope& envelope);
  void RefuseCudaPool(const Envelope& envelope);
  void AnswerReadiness(Handle handle);

  Stub* stub_;
  std::function<Readiness()> is_ready_;
  std::thread thread_;
};

}  // namespace wb
