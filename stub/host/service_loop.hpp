// The threads that serve what a stub sends on its own initiative, and that notice its death (protocol.md
// §1.1, §4.4).
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "host/relief.hpp"
#include "host/services.hpp"
#include "host/thread_pool.hpp"

namespace wb {

class ServiceLoop : public std::enable_shared_from_this<ServiceLoop> {
 public:
  ServiceLoop(std::shared_ptr<Link> link, std::shared_ptr<Services> services, std::size_t pool_size);
  ~ServiceLoop();
  ServiceLoop(const ServiceLoop&) = delete;
  ServiceLoop& operator=(const ServiceLoop&) = delete;

  // The process must be attached.
  void Start();
  // Ends all threads; the link must be closing. A thread that calls this itself ends afterwards.
  void Stop();

  // The next message of the conversation on parent_mq, 0 if there is something to look at, nothing if none
  // came in time.
  std::optional<Handle> PopAnswer(const Deadline& deadline);
  // Waits a moment for log lines that have arrived to be handed over.
  void Settle();

 private:
  // A message, read without counting: its sender waits.
  struct Incoming {
    Incoming(Link* link, Handle at);

    Handle handle = 0;
    Command command = Command::kUnknown;
    int number = 0;
    Handle args = 0;
    pthread_mutex_t* mutex = nullptr;  // to be answered on; null for most
    pthread_cond_t* condition = nullptr;
  };

  void Watch();
  // Until the end, or until this thread is relieved: then true.
  bool Serve(Queue* queue, bool is_conversation, Relief::Seat seat = Relief::Seat::kFirst);
  void ServeInTurns(Relief::Seat seat);
  void AddSecondReader();
  // Whether the reader should answer this message itself.
  bool IsQuickCall(const Incoming& message);
  void Relay(Handle handle);
  void Dispatch(const Incoming& message);
  static bool IsCall(Command command);
  static bool IsService(Command command);

  void TakeLog(Handle payload);
  void TakeResponse(Handle payload);
  // What answers the call, and may take long.
  std::function<void()> TakeBlsCall(Handle message);
  void Submit(std::function<void()> answer);
  void TakeCleanup(const Incoming& message);
  void TakeIsCancelled(Handle payload);
  void TakeCancelBls(Handle payload);
  void TakeMetric(Command operation, Handle payload);
  void TakeControl(Command operation, Handle payload);

  // Sets the flag in a payload and wakes its thread; `fill` writes the result, under the payload's lock.
  template <typename Payload, typename Fill>
  void Answer(Handle payload, Fill fill);
  template <typename Payload>
  void Refuse(Handle payload, const std::string& text);
  void Run(const std::function<void()>& job);

  std::shared_ptr<Link> link_;
  std::shared_ptr<Services> services_;
  ThreadPool pool_;     // calls to other models, model control: may take long
  ThreadPool courier_;  // log lines and metrics: one after the other, as they came
  std::mutex threads_mutex_;
  std::vector<std::thread> threads_;
  std::atomic<int> serving_{0};  // queues that are read
  Relief relief_;                // of stub_to_parent_mq
  // Of whoever reads that queue.
  int calls_alone_ = 0;
  bool has_second_reader_ = false;

  // Releases before 24.10 mix services into parent_mq. Then a thread of ours reads it, and the conversation's
  // messages wait here.
  Spin answer_spin_;  // of whoever leads the conversation
  std::mutex relay_mutex_;
  std::condition_variable relay_changed_;
  std::deque<Handle> relayed_;
};

}  // namespace wb
