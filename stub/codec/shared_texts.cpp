#include "codec/shared_texts.hpp"

#include "codec/text.hpp"
#include "shm/note.hpp"

namespace wb {

namespace {

// Names are short and few; anything else is better written anew than kept for ever.
constexpr std::size_t kLongest = 256;
constexpr std::size_t kMost = 256;

}  // namespace

Handle SharedTexts::Find(std::string_view text) {
  if (text.size() > kLongest) return 0;
  Pool::Guard guard(pool_);
  const auto found = texts_.find(text);
  if (found != texts_.end()) return found->second;
  return texts_.size() < kMost ? Keep(text) : 0;
}

Handle SharedTexts::Keep(std::string_view text) {
  const NoteScope note(Origin::kOther);  // not the request's that happens to need it first
  const Handle handle = WriteString(pool_, text, &refs_);
  texts_.emplace(text, handle);
  return handle;
}

Handle SharedTexts::NoCorrelationId() {
  Pool::Guard guard(pool_);
  if (no_correlation_id_ == 0) {
    const NoteScope note(Origin::kOther);
    Ref object = pool_->AllocateAs<wire::CorrelationId>();
    object.as<wire::CorrelationId>()->text = Keep("");
    no_correlation_id_ = object.handle();
    refs_.push_back(std::move(object));
  }
  return no_correlation_id_;
}

Handle SharedTexts::NoTrace() {
  Pool::Guard guard(pool_);
  if (no_trace_ == 0) {
    const NoteScope note(Origin::kOther);
    Ref object = pool_->AllocateAs<wire::Trace>();
    object.as<wire::Trace>()->context = Keep("");
    no_trace_ = object.handle();
    refs_.push_back(std::move(object));
  }
  return no_trace_;
}

}  // namespace wb
