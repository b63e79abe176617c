// Who reads a queue where two threads can: one does, and may answer a short question itself instead of
// handing it on. If that takes longer than thought, the other reads on, and the first stands by from then on.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace wb {

class Relief {
 public:
  enum class Seat { kFirst, kSecond };  // of the two threads

  // By the reader, before it works itself. False: nobody stands by, so it must not.
  bool Begin();
  // By whoever began. False: it was relieved, and has to stand by.
  bool End(Seat seat);

  // Waits for the turn of this thread. False: there will be none.
  bool StandBy(Seat seat);
  // By the reader, when there is nothing to read any more.
  void Stop();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Seat reader_ = Seat::kFirst;
  bool stands_by_ = false;
  bool parked_ = false;   // the one that stands by does not look at the clock
  bool working_ = false;  // the reader
  bool stopped_ = false;
  std::uint64_t work_ = 0;  // how often the reader has begun to
};

}  // namespace wb
