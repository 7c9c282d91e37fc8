#pragma once
// The events of a job or turn as messages of a server stream.

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "services/frontend/event_log.h"
#include "services/frontend/rpc_calls.h"

namespace lectern::frontend {

template <typename Message>
class EventSource final : public MessageSource<Message> {
 public:
  using Next = typename MessageSource<Message>::Next;
  struct Opened {
    std::shared_ptr<EventStream> stream;
    int64_t after_seq = 0;
    std::optional<Message> first;  // sent before the events
  };
  struct Hooks {
    std::function<absl::StatusOr<Opened>()> open;  // on the pool
    std::function<void(const v1::AnswerEvent&, Message&)> fill;
    std::function<void(bool deadline_passed)> gone = {};  // must not block
  };

  EventSource(RpcContext& rpc, Hooks hooks)
      : rpc_(rpc),
        fill_(std::move(hooks.fill)),
        gone_(std::move(hooks.gone)),
        opening_(std::make_shared<Opening>()) {
    opening_->open = std::move(hooks.open);
  }

  ~EventSource() override {
    if (ticket_ != 0) opened_.stream->Forget(ticket_);
  }

  Next Pull(Message& message, absl::Status& status, const std::function<void()>& wake) override {
    if (!opened_.stream) {
      const Next next = Open(status, wake);
      if (next != Next::kMessage) return next;
    }
    if (opened_.first) {
      message = *std::move(opened_.first);
      opened_.first.reset();
      return Next::kMessage;
    }
    if (waiting_.empty()) {
      const auto batch = opened_.stream->Read(opened_.after_seq, kBatch);
      if (!batch.ok()) {
        status = batch.status();
        return Next::kEnd;
      }
      waiting_.assign(batch->events.begin(), batch->events.end());
      if (waiting_.empty() && batch->ended) return Next::kEnd;
      if (waiting_.empty()) {
        ticket_ = opened_.stream->WakeAfter(opened_.after_seq, wake);
        return Next::kWait;
      }
    }
    message.Clear();
    fill_(*waiting_.front(), message);
    opened_.after_seq = waiting_.front()->seq();
    waiting_.pop_front();
    return Next::kMessage;
  }

  void OnGone(bool deadline_passed) override {
    if (gone_) gone_(deadline_passed);
  }

 private:
  static constexpr size_t kBatch = 64;

  // Outlives the source, since the pool may still be opening when the client goes.
  struct Opening {
    std::function<absl::StatusOr<Opened>()> open;
    std::mutex mutex;
    bool posted = false;
    std::optional<absl::StatusOr<Opened>> result;
  };

  // kMessage: open.
  Next Open(absl::Status& status, const std::function<void()>& wake) {
    const std::lock_guard lock(opening_->mutex);
    if (opening_->result) {
      status = opening_->result->status();
      if (!status.ok()) return Next::kEnd;
      opened_ = *std::move(*opening_->result);
      return Next::kMessage;
    }
    if (opening_->posted) return Next::kWait;
    opening_->posted = rpc_.pool.TryPost([opening = opening_, wake] {
      absl::StatusOr<Opened> result = opening->open();
      {
        const std::lock_guard opened(opening->mutex);
        opening->result = std::move(result);
      }
      wake();
    });
    if (opening_->posted) return Next::kWait;
    status = ServerBusy(rpc_, "rpc_queue");
    return Next::kEnd;
  }

  RpcContext& rpc_;
  const std::function<void(const v1::AnswerEvent&, Message&)> fill_;
  const std::function<void(bool)> gone_;
  const std::shared_ptr<Opening> opening_;
  Opened opened_;
  uint64_t ticket_ = 0;
  std::deque<EventPtr> waiting_;
};

}  // namespace lectern::frontend
