#include "services/frontend/warmer.h"

#include <utility>

#include "engine/base/status.h"

namespace lectern::frontend {

absl::StatusOr<std::shared_ptr<WarmRun>> WarmRun::Start(const AnswerContext& context,
                                                        const std::vector<std::string>& documents,
                                                        std::function<void()> changed) {
  ASSIGN_OR_RETURN(const auto shared, context.prompts.BuildWhole(documents));
  auto run = std::shared_ptr<WarmRun>(new WarmRun(context));
  run->changed_ = std::move(changed);
  run->total_ = static_cast<int64_t>(shared->prompt.ids.size());
  News first;
  first.progress.set_prompt_tokens_total(run->total_);
  first.progress.set_prompt_tokens_done(context.worker.CachedPrefix(shared->prompt.ids, ""));
  run->news_.push_back(std::move(first));

  Request request;
  request.prompt = shared->prompt.ids;
  request.max_new_tokens = 1;
  request.stop_token_ids = shared->prompt.stop_ids;
  request.priority = -1;  // behind questions
  RequestCallbacks callbacks;
  callbacks.on_token = [](const TokenEvent&) {};
  callbacks.on_finished = [run](const Finished& finished) { run->OnFinished(finished); };
  callbacks.on_progress = [run](int64_t done) { run->OnProgress(done); };
  ASSIGN_OR_RETURN(const RequestId id,
                   context.worker.Submit(std::move(request), std::move(callbacks)));
  bool unwanted = false;
  {
    const std::lock_guard lock(run->mutex_);
    if (!run->finished_) run->request_id_ = id;
    unwanted = run->cancelled_;
  }
  if (unwanted) context.worker.Cancel(id);
  return run;
}

void WarmRun::Cancel() {
  std::optional<RequestId> id;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    id = request_id_;
  }
  if (id) context_.worker.Cancel(*id);
}

void WarmRun::OnProgress(int64_t done) {
  std::function<void()> changed;
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    // What a slow reader has not taken yet is overtaken by what is newer.
    if (news_.empty()) news_.emplace_back();
    news_.back().progress.set_prompt_tokens_done(done);
    news_.back().progress.set_prompt_tokens_total(total_);
    changed = changed_;
  }
  changed();
}

void WarmRun::OnFinished(const Finished& finished) {
  std::function<void()> changed;
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    request_id_.reset();
    News last;
    last.last = true;
    if (finished.reason == FinishReason::kError) last.status = finished.status;
    if (finished.reason == FinishReason::kCancelled)
      last.status = absl::CancelledError("cancelled");
    last.progress.set_prompt_tokens_done(total_);
    last.progress.set_prompt_tokens_total(total_);
    v1::Usage& usage = *last.progress.mutable_usage();
    usage.set_prompt_tokens(total_);
    usage.set_cached_tokens_device(finished.prompt_tokens.device);
    usage.set_cached_tokens_disk(finished.prompt_tokens.disk);
    usage.set_queue_seconds(finished.queue_seconds);
    usage.set_restore_seconds(finished.restore_seconds);
    usage.set_prefill_seconds(finished.prefill_seconds);
    news_.push_back(std::move(last));
    changed = std::move(changed_);  // and with it whoever listened
  }
  changed();
}

std::optional<WarmRun::News> WarmRun::Take() {
  const std::lock_guard lock(mutex_);
  if (news_.empty()) return std::nullopt;
  News next = std::move(news_.front());
  news_.erase(news_.begin());
  return next;
}

}  // namespace lectern::frontend
