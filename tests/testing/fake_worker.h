#pragma once
// A worker without a model: answers come from a script, one token a step, and every request is
// remembered.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "services/worker/worker.h"

namespace lectern::testing {

// Thread safe. Like the engine: the token at an index depends on the prompt and the index alone,
// callbacks come from one thread, Cancel takes effect at the next step.
class FakeWorker final : public worker::Worker {
 public:
  // The whole answer to a prompt; after it the request stops.
  using Script = std::function<std::vector<int32_t>(const std::vector<int32_t>& prompt)>;

  explicit FakeWorker(Script script);
  ~FakeWorker() override;  // cancels what runs

  // One token, or the end, for every request. Returns how many requests are left.
  size_t Step();
  // From now on steps follow each other on a thread of the worker's own, `pause` apart.
  void RunFreely(std::chrono::microseconds pause = std::chrono::microseconds(50));

  absl::StatusOr<RequestId> Submit(Request request, RequestCallbacks callbacks) override;
  void Cancel(RequestId id) override;
  int64_t CachedPrefix(const std::vector<int32_t>&, const std::string&) override { return 0; }
  EngineStats Stats() const override;
  const EngineInfo& info() const override { return info_; }
  absl::Status FlushTiers() override { return absl::OkStatus(); }
  int64_t DropMemoryCache() override { return 3; }
  absl::StatusOr<int64_t> DropDiskCache() override { return 5; }
  absl::StatusOr<CacheVerifyReport> VerifyDiskCache() override {
    return CacheVerifyReport{7, 0, {}};
  }

  // Every request that was submitted, in order.
  std::vector<Request> submitted() const;
  size_t running() const;
  // The next `count` Submits are refused as by a full queue.
  void RefuseNext(int count);
  // Requests submitted from now on end with this after their first token.
  void FailWith(absl::Status status);

 private:
  struct Running {
    Request request;
    RequestCallbacks callbacks;
    std::vector<int32_t> script;
    size_t next = 0;
    bool cancelled = false;
    absl::Status failure;
  };
  // True where the request has ended.
  static bool StepOne(Running& running);
  static void Finish(Running& running, FinishReason reason);

  const Script script_;
  EngineInfo info_;
  std::mutex
      step_mutex_;  // one step at a time; callbacks run under it, as on the engine's one thread
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, std::shared_ptr<Running>> running_;
  std::vector<Request> submitted_;
  RequestId next_id_ = 1;
  int64_t steps_ = 0;
  int refuse_ = 0;
  absl::Status failure_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lectern::testing
