// Asking a model whether it is ready (protocol.md §4.4 F), which goes on beside the conversation.
#include "host/channel.hpp"
#include "protocol/error.hpp"

namespace wb {

std::optional<bool> Channel::IsReady(const Deadline& deadline, const Interrupt& interrupt) {
  const wire::Control* control = link_->control();
  if (!link_->release().has_user_readiness || !control->has_user_readiness) return std::nullopt;
  link_->CheckFault();
  if (link_->closing()) throw PeerGone(link_->NotHealthyText());
  std::unique_lock one_at_a_time(asking_readiness_, std::defer_lock);
  while (!one_at_a_time.try_lock_for(deadline.Left(Watch::kSlice))) {
    if (interrupt) interrupt();
    if (deadline.passed()) throw TimedOut("an earlier is_ready() of the model has not returned");
  }
  Pool* pool = link_->pool();
  if (!open_readiness_) {
    auto question = std::make_unique<Parcel>();
    Ref payload = pool->AllocateAs<wire::UserReadiness>();
    InitMutex(&payload.as<wire::UserReadiness>()->mu);
    InitCondition(&payload.as<wire::UserReadiness>()->cv);
    question->envelopes.push_back(
        Envelope::Create(pool, link_->release(), Command::kUserReadiness, payload.handle(), true));
    question->refs.push_back(std::move(payload));
    link_->Push(&link_->parent_to_stub(), question->envelopes[0].handle(), deadline);
    open_readiness_ = std::move(question);
  }
  auto* data = open_readiness_->refs[0].as<wire::UserReadiness>();
  pthread_mutex_t* mutex = open_readiness_->envelopes[0].mutex();
  pthread_cond_t* condition = open_readiness_->envelopes[0].condition();
  const volatile bool* answered = &data->waiting_on_stub;
  const Watch watch{deadline, [&] {
                      if (interrupt) interrupt();
                      return link_->Over();
                    }};
  std::optional<bool> ready;
  std::optional<std::string> error;
  {
    const LinkLock lock(link_.get(), mutex);
    // If this throws, the question stays open: the answer to it is the next query's.
    Await(condition, mutex, watch, "is_ready() of the model", [&] { return *answered; });
    if (data->function_exists) ready = data->is_ready;
    if (data->has_error) {
      error = data->is_error_set ? ReadString(pool, data->error)
                                 : "is_ready() of the model failed; its text was not kept";
    }
    data->waiting_on_stub = false;
    pthread_cond_broadcast(condition);
  }
  open_readiness_.reset();
  if (error) throw ModelRefused(*error);
  return ready;
}

}  // namespace wb
