// The conversation with one stub process, as its parent leads it (protocol.md §1.3, §7).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "codec/response.hpp"
#include "codec/text.hpp"
#include "host/service_loop.hpp"

namespace wb {

// The model said no: initialize, auto-complete or is_ready failed. The text is the stub's.
class ModelRefused : public Error {
 public:
  using Error::Error;
};

class Channel {
 public:
  Channel(const LinkOptions& options, std::shared_ptr<Services> services, std::size_t thread_pool_size);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  std::vector<std::string> Arguments(const std::string& model_file, const std::string& python_lib,
                                     const std::string& runtime_model_dir) const;
  void Attach(pid_t pid);

  // One thread at a time may be inside these. Waits end with PeerGone when the process dies or stops to tick,
  // with TimedOut at the deadline, and with whatever `interrupt` throws.
  void WaitStarted(const Deadline& deadline, const Interrupt& interrupt);
  std::string AutoComplete(const std::string& config, const Deadline& deadline, const Interrupt& interrupt);
  void Initialize(const StringMap& arguments, const Deadline& deadline, const Interrupt& interrupt);
  void Execute(const std::vector<std::shared_ptr<Pending>>& requests, const Deadline& deadline,
               const Interrupt& interrupt);
  void Finalize(const Deadline& deadline, const Interrupt& interrupt);

  // Nothing if the model defines no such function.
  std::optional<bool> IsReady(const Deadline& deadline, const Interrupt& interrupt);
  void Close();

  Link& link() { return *link_; }
  std::size_t FreeBytes();

 private:
  class Talk;
  struct Batch;

  // The next message for us. `ticks`: a stub whose health thread stands still counts as gone.
  Handle PopWatching(bool ticks, const Deadline& deadline, const Interrupt& interrupt);
  bool StillTicks();
  Handle Ask(std::unique_ptr<Batch>* batch, Command answer, const Deadline& deadline,
             const Interrupt& interrupt);
  // Reads an answer, then lets the stub go on.
  template <typename Read>
  void ReadAnswer(Read read);
  void SendDummy();

  void WriteBatch(Batch* batch);
  void TakeAnswer(Batch* batch, Handle message, bool with_handles);

  std::shared_ptr<Link> link_;
  std::shared_ptr<ServiceLoop> services_;
  std::mutex talking_;
  std::timed_mutex asking_readiness_;
  // Asked and not answered in time; guarded by asking_readiness_.
  std::unique_ptr<Parcel> open_readiness_;
  std::atomic<bool> closed_{false};
  bool started_ = false;
  // A question whose answer was not waited for: the other side may still be reading it.
  std::unique_ptr<Batch> in_flight_;
  bool answer_outstanding_ = false;
};

}  // namespace wb
