// A call from the model to another model ("business logic scripting"), from the moment it arrives to its last
// answer (protocol.md §4.4 C and D, §7.7).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "codec/envelope.hpp"
#include "codec/values.hpp"
#include "host/link.hpp"
#include "protocol/call_site.hpp"

namespace wb {

class BlsCall : public std::enable_shared_from_this<BlsCall> {
 public:
  // Takes over the message of a stub thread that is waiting to be answered.
  static std::shared_ptr<BlsCall> Take(std::shared_ptr<Link> link, Envelope request);
  // A call nobody answered to the end is answered with an error: its model must not wait for ever.
  ~BlsCall();
  BlsCall(const BlsCall&) = delete;
  BlsCall& operator=(const BlsCall&) = delete;

  // Reads what is asked for; the inputs keep their blocks. Throws RegionBroken, Error.
  void Read();
  const RequestValue& request() const { return request_; }
  std::uint64_t span() const { return span_; }
  bool decoupled() const { return decoupled_; }
  std::uint32_t line() const { return line_; }
  bool cancelled() const { return cancelled_; }
  void Cancel() { cancelled_ = true; }

  // One response. Copies tensors into the region. Throws Error if the call takes no (more) such response,
  // PoolExhausted, PeerGone.
  void Send(ResponseValue response, bool final);
  // The final response, if there was none.
  void SendError(const std::string& text, ErrorCode code = ErrorCode::kInternal) noexcept;

 private:
  BlsCall(std::shared_ptr<Link> link, Envelope request);
  void TellCall(const CallSite* site);
  void TellReply(const ResponseValue& response);
  void SendNow(ResponseValue response, bool final);
  void SendFirst(Handle response, Parcel parcel);
  void SendNext(Handle response, Parcel parcel);

  std::shared_ptr<Link> link_;
  Envelope message_;  // of the waiting thread; handed on with the first response
  RequestValue request_;
  bool decoupled_ = false;
  const std::uint64_t span_ = NextSpan();
  const std::uint64_t batch_;  // that the model was executing
  const std::int64_t arrived_ = MonotonicNow();
  std::uint64_t id_ = 0;
  std::uint32_t line_ = 0;         // of model.py, where the call was made; 0 if unknown
  std::uint32_t for_request_ = 0;  // the one request it can be for; 0 if there are several
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;  // responses leave in the order they are given
  bool first_sent_ = false;
  bool final_sent_ = false;
  bool ended_ = false;  // and its link knows
};

}  // namespace wb
