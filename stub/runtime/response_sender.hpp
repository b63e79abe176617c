// Answering a request from anywhere at any time: what a model knows as InferenceResponseSender (pb_utils.md
// §5).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "runtime/response.hpp"
#include "runtime/stub.hpp"

namespace wb {

class ResponseSender {
 public:
  struct Identity {
    std::int64_t request = 0;  // both 0: a request the model made itself
    std::int64_t factory = 0;
    std::set<std::string> requested_outputs;
  };

  ResponseSender(Stub* stub, Identity identity);
  // Tells the parent to drop the response factory if nothing else has.
  ~ResponseSender();

  // Called by the model, with the GIL. Throws ModelException (order of checks: pb_utils.md §5.2).
  void Send(const std::shared_ptr<PyResponse>& response, std::uint32_t flags);
  // Called by the model, with the GIL.
  bool IsCancelled();

  // The parent answers the request itself (a returned response, a failed batch): nothing may be sent any
  // more, and the factory is the parent's.
  void CloseByParent();
  // As a response returned from execute, for releases that send every response on its own. GIL not held.
  void SendReturned(Handle response);
  // An error that ends the request, if it is still open. GIL not held.
  void FailIfOpen(const std::string& message);

  bool closed();
  int responses_sent();
  // The model has asked for this sender.
  bool taken() const { return taken_; }
  void set_taken() { taken_ = true; }

 private:
  void Transmit(Handle response, std::uint32_t flags);
  // Runs `work`; where it finds no room, nothing was sent, and the request is as open as before.
  template <typename Work>
  void OrReopen(bool response, std::uint32_t flags, Work work);
  void DropFactory();

  Stub* stub_;
  const Identity identity_;
  std::mutex mutex_;
  bool closed_ = false;
  bool factory_settled_ = false;  // deleted by the parent, or asked to be
  int responses_sent_ = 0;
  bool taken_ = false;
  std::atomic<bool> cancelled_{false};
};

}  // namespace wb
