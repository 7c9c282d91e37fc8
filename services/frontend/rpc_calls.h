#pragma once
// What the adapters share: running a call off the RPC threads, and streaming what a source yields.
// The only header of this folder that sees gRPC; included by the adapters (*_rpc.cc) and server.cc
// alone.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "services/common/error_details.h"
#include "services/common/grpc_status.h"
#include "services/frontend/task_pool.h"

namespace lectern::frontend {

// Outlives every call.
struct RpcContext {
  TaskPool& pool;    // short calls: a write to the disk, a prompt
  TaskPool& ingest;  // extraction of documents
  base::Metrics& metrics;
  const base::Clock& clock;
  std::atomic<int64_t> watchers{0};
};

inline absl::Status ServerBusy(RpcContext& rpc, std::string_view reason) {
  rpc.metrics.Add("lectern_admission_rejections_total", 1, {{"reason", reason}});
  return common::Overloaded("SERVER_BUSY", "too many calls wait", std::chrono::seconds(1));
}

inline grpc::Status EndCall(RpcContext& rpc, std::string_view method, const absl::Status& status) {
  rpc.metrics.Add("lectern_rpcs_total", 1,
                  {{"method", method}, {"code", common::CodeName(status.code())}});
  return common::ToGrpcStatus(status);
}

// `work` runs on the pool; request and response stay valid until it returns.
inline grpc::ServerUnaryReactor* RunUnary(RpcContext& rpc, grpc::CallbackServerContext* context,
                                          std::string_view method,
                                          std::function<absl::Status()> work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool posted = rpc.pool.TryPost([&rpc, context, reactor, method, work = std::move(work)] {
    // Nobody waits for a call whose deadline has passed.
    const absl::Status status =
        context->IsCancelled() ? absl::CancelledError("the caller has gone") : work();
    reactor->Finish(EndCall(rpc, method, status));
  });
  if (!posted) reactor->Finish(EndCall(rpc, method, ServerBusy(rpc, "rpc_queue")));
  return reactor;
}

// RunUnary for the common shape: StatusOr<Reply> work(request).
template <typename Reply>
grpc::ServerUnaryReactor* Answer(RpcContext& rpc, grpc::CallbackServerContext* context,
                                 std::string_view method, Reply* reply,
                                 std::function<absl::StatusOr<Reply>()> work) {
  return RunUnary(rpc, context, method, [reply, work = std::move(work)] {
    absl::StatusOr<Reply> result = work();
    if (result.ok()) *reply = *std::move(result);
    return result.status();
  });
}

// Where a server stream's messages come from. Pull is called by one thread at a time.
template <typename Message>
class MessageSource {
 public:
  enum class Next { kMessage, kWait, kEnd };
  virtual ~MessageSource() = default;
  // kMessage: `message` is filled. kEnd: `status` is. kWait: `wake` is called once, from any
  // thread, when it is worth pulling again. Must not block for long.
  virtual Next Pull(Message& message, absl::Status& status, const std::function<void()>& wake) = 0;
  // The client went away, or its deadline passed.
  virtual void OnGone(bool /*deadline_passed*/) {}
};

// One write at a time; a slow client is simply not pulled for, and costs nobody anything.
template <typename Message>
class SourceReactor final : public grpc::ServerWriteReactor<Message> {
 public:
  static SourceReactor* Start(RpcContext& rpc, grpc::CallbackServerContext* context,
                              std::string_view method,
                              std::unique_ptr<MessageSource<Message>> source) {
    auto owner = std::make_shared<Handle>();
    auto* reactor = new SourceReactor(rpc, context, method, std::move(source), owner);
    owner->reactor = reactor;
    rpc.metrics.Set("lectern_watchers", static_cast<double>(++rpc.watchers), {});
    reactor->Pump();
    return reactor;
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      gone_ = gone_ || !ok;
    }
    Pump();
  }

  void OnCancel() override {
    source_->OnGone(DeadlinePassed());
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
    }
    Pump();
  }

  void OnDone() override {
    {
      const std::lock_guard lock(handle_->mutex);  // a wake under way is waited for
      handle_->reactor = nullptr;
    }
    rpc_.metrics.Set("lectern_watchers", static_cast<double>(--rpc_.watchers), {});
    delete this;
  }

 private:
  // What wakes hold: it outlives the reactor, and says whether there is one.
  struct Handle {
    std::recursive_mutex mutex;  // a wake may come from inside Pull
    SourceReactor* reactor = nullptr;
  };

  SourceReactor(RpcContext& rpc, grpc::CallbackServerContext* context, std::string_view method,
                std::unique_ptr<MessageSource<Message>> source, std::shared_ptr<Handle> handle)
      : rpc_(rpc),
        context_(context),
        method_(method),
        source_(std::move(source)),
        handle_(std::move(handle)) {}

  // A client ends its call at its own deadline; the server's copy of it is later, by the way of the
  // call and by the rounding of grpc-timeout (two or three digits).
  bool DeadlinePassed() const {
    const auto now = std::chrono::system_clock::now();
    const auto left = std::chrono::duration<double>(context_->deadline() - now);
    const auto whole = std::chrono::duration<double>(context_->deadline() - started_);
    return left <= std::chrono::milliseconds(200) + whole * 0.02;
  }

  void Pump() {
    using Next = typename MessageSource<Message>::Next;
    while (true) {
      {
        const std::lock_guard lock(mutex_);
        if (pulling_) again_ = true;
        if (pulling_ || writing_ || finished_) return;
        if (gone_) {
          finished_ = true;
        } else {
          pulling_ = true;
          again_ = false;
        }
      }
      if (finished_) return EndWith(absl::CancelledError("the caller has gone"));
      absl::Status status;
      const Next next = source_->Pull(message_, status, [handle = handle_] {
        const std::lock_guard lock(handle->mutex);
        if (handle->reactor != nullptr) handle->reactor->Pump();
      });
      {
        const std::lock_guard lock(mutex_);
        pulling_ = false;
        writing_ = next == Next::kMessage;
        finished_ = next == Next::kEnd;
        if (next == Next::kWait && !again_ && !gone_) return;
      }
      if (next == Next::kEnd) return EndWith(status);
      if (next == Next::kMessage) return this->StartWrite(&message_);
    }
  }

  void EndWith(const absl::Status& status) { this->Finish(EndCall(rpc_, method_, status)); }

  RpcContext& rpc_;
  grpc::CallbackServerContext* const context_;
  const std::string_view method_;
  const std::unique_ptr<MessageSource<Message>> source_;
  const std::shared_ptr<Handle> handle_;
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  Message message_;

  std::mutex mutex_;
  bool writing_ = false;
  bool pulling_ = false;
  bool again_ = false;  // woken while pulling
  bool gone_ = false;
  std::atomic<bool> finished_{false};
};

}  // namespace lectern::frontend
