// What the threads of one channel share: region, control block, queues, the watched process, open requests,
// and the one place that knows why the conversation ended.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "codec/shared_texts.hpp"
#include "host/peer.hpp"
#include "host/pending.hpp"
#include "host/retained.hpp"
#include "protocol/error.hpp"
#include "protocol/releases.hpp"
#include "shm/queue.hpp"
#include "shm/turn.hpp"

namespace wb {

class BlsCall;

struct LinkOptions {
  std::string name;  // of the instance, for error texts
  const Release* release = nullptr;
  std::string region_name;
  std::size_t default_size = 0;
  std::size_t growth = 0;
  std::size_t queue_size = 0;
  bool decoupled = false;
  bool uses_env = false;
  std::shared_ptr<Tap> tap;
};

class Link {
 public:
  // Creates the region and all that a starting stub expects in it. Throws PoolExhausted, Error.
  explicit Link(const LinkOptions& options);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  Pool* pool() const { return pool_.get(); }
  const std::shared_ptr<Pool>& shared_pool() const { return pool_; }
  const Release& release() const { return *options_.release; }
  const LinkOptions& options() const { return options_; }
  const std::shared_ptr<Tap>& tap() const { return options_.tap; }
  // The batch that the stub was given last: on its behalf the model makes its calls.
  std::uint64_t batch() const { return batch_; }
  void set_batch(std::uint64_t batch) { batch_ = batch; }
  wire::Control* control() const { return control_.as<wire::Control>(); }
  Handle control_handle() const { return control_.handle(); }
  Queue& stub_mq() { return stub_mq_; }
  Queue& parent_mq() { return parent_mq_; }
  Queue& stub_to_parent() { return stub_to_parent_; }
  Queue& parent_to_stub() { return parent_to_stub_; }
  Peer& peer() { return peer_; }
  OpenRequests& requests() { return requests_; }
  Retained& retained() { return retained_; }
  SharedTexts& texts() { return texts_; }

  // Key under which a business-logic call can be cancelled by its model.
  std::uint64_t AddCall(std::weak_ptr<BlsCall> call);
  std::shared_ptr<BlsCall> FindCall(std::uint64_t id);
  void ForgetCall(std::uint64_t id);

  // By whoever reads the calls, for each; the end is told before its model can go on.
  void CallBegins() { ++open_calls_; }
  void CallEnds() {
    if (stub_to_parent_.Depth() > 0) disturbed_ = true;
    --open_calls_;
  }
  // Whether no call is under way, and nothing else came during those since this was asked last.
  bool CallsAreAlone() { return open_calls_ == 0 && !disturbed_.exchange(false); }

  // The conversation is over; the first reason stays. Open requests fail with it.
  void Fail(Fault::Kind kind, const std::string& text);
  void FailNotHealthy() { Fail(Fault::Kind::kNotHealthy, NotHealthyText()); }
  void FailClosed() {
    Fail(Fault::Kind::kNotHealthy, "the channel to stub process '" + options_.name + "' was closed");
  }
  std::string NotHealthyText() const { return "Stub process '" + options_.name + "' is not healthy."; }
  std::optional<Fault> fault() const;
  // Throws what the fault says, if there is one.
  void CheckFault() const;
  // Whether an error is no more than the end of the other side as seen from here. A lock that died with its
  // owner can be met a moment before the system says that the owner is gone.
  bool MeansTheEnd(const std::exception& error);
  // Runs `work`, in which a lock may be met that died with the other side: throws PeerGone then.
  template <typename Work>
  auto Explain(Work work) {
    try {
      return work();
    } catch (const LockDied& error) {
      if (MeansTheEnd(error)) {
        FailNotHealthy();
        throw PeerGone(NotHealthyText());
      }
      Fail(Fault::Kind::kProtocol, error.what());
      throw;
    }
  }
  // True once waiting for the other side is pointless.
  bool Over() { return closing_ || failed_ || peer_.Gone(); }
  void StartClosing() { closing_ = true; }
  bool closing() const { return closing_; }

  // Locks a mutex that the other side may hold; gives up when there is no other side any more. Throws
  // PeerGone, RegionBroken.
  void Lock(pthread_mutex_t* mutex);
  // Pushes, waiting while the queue is full. Throws PeerGone, TimedOut.
  void Push(Queue* queue, Handle value, const Deadline& deadline = Deadline::Never());
  // Makes whoever waits on these queues look around. Never waits long, never throws.
  void WakeReaders() noexcept;

 private:
  LinkOptions options_;
  std::shared_ptr<Pool> pool_;  // destroyed after everything that has references into it
  Ref control_;
  Queue stub_mq_;
  Queue parent_mq_;
  Queue stub_to_parent_;
  Queue parent_to_stub_;
  Queue memory_manager_;  // carries ids of device buffers, of which we hand out none: nobody reads it
  Peer peer_;
  OpenRequests requests_;
  Retained retained_;
  SharedTexts texts_;
  std::atomic<std::uint64_t> batch_{0};
  std::atomic<bool> closing_{false};
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  std::optional<Fault> fault_;
  std::atomic<int> open_calls_{0};
  std::atomic<bool> disturbed_{false};
  std::uint64_t next_call_ = 1;
  std::unordered_map<std::uint64_t, std::weak_ptr<BlsCall>> calls_;
};

// A lock on a mutex in the region, taken through Link::Lock.
class LinkLock {
 public:
  LinkLock(Link* link, pthread_mutex_t* mutex) : mutex_(mutex) { link->Lock(mutex); }
  ~LinkLock() { UnlockMutex(mutex_); }
  LinkLock(const LinkLock&) = delete;
  LinkLock& operator=(const LinkLock&) = delete;

 private:
  pthread_mutex_t* mutex_;
};

}  // namespace wb
