#include "tests/testing/fake_worker.h"

#include <utility>

namespace lectern::testing {

FakeWorker::FakeWorker(Script script) : script_(std::move(script)) {
  info_.model_name = "fake";
  info_.pattern = "FSSS";
  info_.numerics_id = "fake";
  info_.device = "none";
  info_.max_context = 1 << 20;
  info_.vocab_size = 512;
  info_.page_bytes = 64;
}

FakeWorker::~FakeWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [id, running] : running_) running->cancelled = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  while (Step() > 0) {
  }
}

void FakeWorker::RunFreely(std::chrono::microseconds pause) {
  thread_ = std::thread([this, pause] {
    while (true) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !running_.empty(); });
        if (stopping_) return;
      }
      Step();
      std::this_thread::sleep_for(pause);
    }
  });
}

absl::StatusOr<RequestId> FakeWorker::Submit(Request request, RequestCallbacks callbacks) {
  const std::lock_guard lock(mutex_);
  if (refuse_ > 0) {
    --refuse_;
    return absl::ResourceExhaustedError("queue full");
  }
  auto running = std::make_shared<Running>();
  running->script = script_(request.prompt);
  running->next = request.generated.size();
  running->failure = failure_;
  running->callbacks = std::move(callbacks);
  submitted_.push_back(request);
  running->request = std::move(request);
  const RequestId id = next_id_++;
  running_.emplace(id, std::move(running));
  changed_.notify_all();
  return id;
}

void FakeWorker::Cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = running_.find(id); found != running_.end())
    found->second->cancelled = true;
}

size_t FakeWorker::Step() {
  const std::lock_guard stepping(step_mutex_);
  std::map<RequestId, std::shared_ptr<Running>> batch;
  {
    const std::lock_guard lock(mutex_);
    batch = running_;
    ++steps_;
  }
  for (auto& [id, running] : batch) {
    bool cancelled = false;
    {
      const std::lock_guard lock(mutex_);
      cancelled = running->cancelled;
    }
    bool ended = cancelled;
    if (cancelled) {
      Finish(*running, FinishReason::kCancelled);
    } else {
      ended = StepOne(*running);
    }
    if (!ended) continue;
    const std::lock_guard lock(mutex_);
    running_.erase(id);
  }
  const std::lock_guard lock(mutex_);
  return running_.size();
}

bool FakeWorker::StepOne(Running& running) {
  const auto limit = static_cast<size_t>(running.request.max_new_tokens);
  if (running.next < running.script.size() && running.next < limit) {
    TokenEvent token;
    token.token_id = running.script[running.next];
    token.index = static_cast<int64_t>(running.next);
    if (running.request.sampling.logprobs >= 0) {
      token.logprob = -0.5F;
      for (int i = 0; i < running.request.sampling.logprobs; ++i) {
        token.top_logprobs.push_back({i, -1.0F * static_cast<float>(i + 1)});
      }
    }
    ++running.next;
    running.callbacks.on_token(token);
  }
  if (!running.failure.ok()) {
    Finish(running, FinishReason::kError);
    return true;
  }
  if (running.next >= limit) {
    Finish(running, FinishReason::kLength);
    return true;
  }
  if (running.next >= running.script.size()) {
    Finish(running, FinishReason::kStop);
    return true;
  }
  return false;
}

void FakeWorker::Finish(Running& running, FinishReason reason) {
  Finished finished;
  finished.reason = reason;
  if (reason == FinishReason::kError) finished.status = running.failure;
  finished.prompt_tokens.computed = static_cast<int64_t>(running.request.prompt.size());
  finished.generated_tokens = static_cast<int64_t>(running.next);
  if (running.request.record_selections) {
    // The newest position is always the most looked at.
    finished.selection_counts.resize(running.request.prompt.size() + running.next);
    for (size_t i = 0; i < finished.selection_counts.size(); ++i) {
      finished.selection_counts[i] = static_cast<uint32_t>(i % 7);
    }
  }
  running.callbacks.on_finished(finished);
}

EngineStats FakeWorker::Stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats;
  stats.requests_running = static_cast<int64_t>(running_.size());
  stats.pages_total = 100;
  stats.pages_free = 90;
  stats.pages_cached = 10;
  stats.indexer_runs = steps_;
  return stats;
}

std::vector<Request> FakeWorker::submitted() const {
  const std::lock_guard lock(mutex_);
  return submitted_;
}

size_t FakeWorker::running() const {
  const std::lock_guard lock(mutex_);
  return running_.size();
}

void FakeWorker::RefuseNext(int count) {
  const std::lock_guard lock(mutex_);
  refuse_ = count;
}

void FakeWorker::FailWith(absl::Status status) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(status);
}

}  // namespace lectern::testing
