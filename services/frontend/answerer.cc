#include "services/frontend/answerer.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/frontend/answer_evidence.h"
#include "services/frontend/answer_metrics.h"
#include "services/frontend/answer_text.h"

namespace lectern::frontend {
namespace {

using std::chrono::nanoseconds;

// The engine's queue is bounded; an answer that finds it full comes again.
constexpr auto kSubmitRetry = std::chrono::milliseconds(100);
// Progress is an event, and events are stored: a prompt that is read for a minute makes a few
// hundred.
constexpr auto kProgressEvery = std::chrono::milliseconds(250);

struct TimedToken {
  TokenEvent token;
  nanoseconds at{0};
};

v1::FinishReason ToProto(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
    case FinishReason::kCancelled:
      return v1::FINISH_REASON_CANCELLED;
    case FinishReason::kError:
      return v1::FINISH_REASON_ERROR;
  }
  return v1::FINISH_REASON_UNSPECIFIED;
}

// All work on one answer happens in Run, on the pool, one at a time: callbacks of the worker only
// put into the inbox.
class Answer final : public RunningAnswer, public std::enable_shared_from_this<Answer> {
 public:
  Answer(const AnswerContext& context, AnswerTask task)
      : context_(context), task_(std::move(task)) {}

  void Begin() {
    const std::lock_guard lock(mutex_);
    inbox_.submit = true;
    ScheduleLocked();
  }

  void Cancel() override {
    std::optional<RequestId> id;
    {
      const std::lock_guard lock(mutex_);
      if (inbox_.cancelled || cancelled_at_) return;
      cancelled_at_ = context_.clock.Now();
      inbox_.cancelled = true;
      id = request_id_;
      ScheduleLocked();
    }
    if (id) context_.worker.Cancel(*id);
  }

  void Abandon() override {
    std::optional<RequestId> id;
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
      id = request_id_;
    }
    if (id) context_.worker.Cancel(*id);
  }

 private:
  struct Inbox {
    std::vector<TimedToken> tokens;
    std::optional<Finished> finished;
    std::optional<int64_t> progress;
    bool cancelled = false;
    bool submit = false;
    bool empty() const { return tokens.empty() && !finished && !progress && !cancelled && !submit; }
  };

  void ScheduleLocked() {
    if (scheduled_) return;
    scheduled_ = true;
    context_.pool.Post([self = shared_from_this()] { self->Run(); });
  }

  void OnToken(const TokenEvent& token) {
    const nanoseconds now = context_.clock.Now();
    const std::lock_guard lock(mutex_);
    inbox_.tokens.push_back({token, now});
    ScheduleLocked();
  }

  void OnProgress(int64_t done) {
    const nanoseconds now = context_.clock.Now();
    const std::lock_guard lock(mutex_);
    if (now - progress_at_ < kProgressEvery) return;
    progress_at_ = now;
    inbox_.progress = done;
    ScheduleLocked();
  }

  void OnFinished(const Finished& finished) {
    std::optional<nanoseconds> cancelled_at;
    {
      const std::lock_guard lock(mutex_);
      request_id_.reset();
      cancelled_at = cancelled_at_;
      inbox_.finished = finished;
      ScheduleLocked();
    }
    if (cancelled_at) {
      context_.metrics.Observe("lectern_cancel_to_free_seconds",
                               base::Seconds(context_.clock.Now() - *cancelled_at), {});
    }
  }

  // Takes all that waits: what came while the last events were being stored is one event.
  void Run() {
    while (true) {
      Inbox inbox;
      {
        const std::lock_guard lock(mutex_);
        if (inbox_.empty() || abandoned_) {
          scheduled_ = false;
          return;
        }
        inbox = std::exchange(inbox_, {});
      }
      if (over_) continue;
      // A resumed answer has said already how its prompt was read.
      if (inbox.progress && known_ == 0) Store({ProgressEvent(*inbox.progress)});
      if (over_) continue;
      if (!inbox.tokens.empty()) TakeTokens(inbox.tokens);
      if (over_) continue;
      if (inbox.finished) {
        Complete(*inbox.finished);
      } else if (inbox.cancelled) {
        Finished cancelled;
        cancelled.reason = FinishReason::kCancelled;
        Complete(cancelled);
      } else if (inbox.submit) {
        Prepare();
      }
    }
  }

  void Prepare() {
    absl::Status status = text_ ? absl::OkStatus() : BuildPrompt();
    if (status.ok() && !over_) status = Submit();
    if (!status.ok() && !over_) Fail(std::move(status));
  }

  absl::Status BuildPrompt() {
    if (!task_.built) {
      ASSIGN_OR_RETURN(BuiltPrompt built, context_.prompts.Build(task_.prompt));
      task_.built = std::make_shared<const BuiltPrompt>(std::move(built));
    }
    const auto& stops = task_.options.sampling().stop();
    ASSIGN_OR_RETURN(AnswerText text, AnswerText::Create(context_.prompts.tokenizer(),
                                                         {stops.begin(), stops.end()}));
    text_.emplace(std::move(text));
    for (const int32_t id : task_.generated) text_->Push(id);
    known_ = static_cast<int64_t>(task_.generated.size());
    num_generated_ = known_;
    if (!task_.started) Store({StartedEvent(), ProgressEvent(CachedTokens())});
    return absl::OkStatus();
  }

  int64_t CachedTokens() const {
    return task_.options.no_cache() ? 0 : context_.worker.CachedPrefix(task_.built->ids, "");
  }

  Request MakeRequest() const {
    Request request;
    request.prompt = task_.built->ids;
    request.generated = task_.generated;
    request.sampling = ToSamplingParams(task_.options.sampling());
    request.max_new_tokens = task_.built->max_new_tokens;
    request.stop_token_ids = task_.built->stop_ids;
    request.use_cache = !task_.options.no_cache();
    request.record_selections = task_.options.evidence() >= 0;
    const bool complete = text_->stopped() || known_ >= request.max_new_tokens;
    if (complete && known_ > 0) {
      // Every token is stored and only the end is missing. The last one is made again (and not sent
      // again), so that the engine says what the answer looked at.
      request.generated.pop_back();
      request.max_new_tokens = static_cast<int>(known_);
    }
    return request;
  }

  absl::Status Submit() {
    RequestCallbacks callbacks;
    callbacks.on_token = [self = shared_from_this()](const TokenEvent& token) {
      self->OnToken(token);
    };
    callbacks.on_finished = [self = shared_from_this()](const Finished& finished) {
      self->OnFinished(finished);
    };
    callbacks.on_progress = [self = shared_from_this()](int64_t done) { self->OnProgress(done); };
    {
      const std::lock_guard lock(mutex_);
      progress_at_ = context_.clock.Now();
    }
    const absl::StatusOr<RequestId> id =
        context_.worker.Submit(MakeRequest(), std::move(callbacks));
    if (absl::IsResourceExhausted(id.status())) {
      context_.pool.PostAfter(kSubmitRetry, [self = shared_from_this()] { self->Begin(); });
      return absl::OkStatus();
    }
    if (!id.ok()) return id.status();
    bool unwanted = false;
    {
      const std::lock_guard lock(mutex_);
      if (!inbox_.finished) request_id_ = *id;
      unwanted = cancelled_at_.has_value() || abandoned_;
    }
    if (unwanted) context_.worker.Cancel(*id);
    return absl::OkStatus();
  }

  bool IsStopToken(int32_t id) const {
    const auto& stops = task_.built->stop_ids;
    return std::find(stops.begin(), stops.end(), id) != stops.end();
  }

  void TakeTokens(const std::vector<TimedToken>& tokens) {
    v1::AnswerEvent event = NewEvent();
    v1::AnswerEvent::TextDelta& delta = *event.mutable_text_delta();
    const bool first = !first_token_at_.has_value() && known_ == 0;
    for (const TimedToken& timed : tokens) {
      if (timed.token.index < known_ || text_->stopped() || IsStopToken(timed.token.token_id))
        continue;
      if (!first_token_at_) first_token_at_ = timed.at;
      delta.add_token_ids(timed.token.token_id);
      *delta.mutable_text() += text_->Push(timed.token.token_id);
      AddLogprobs(timed.token, delta);
    }
    if (delta.token_ids().empty()) return;
    num_generated_ += delta.token_ids_size();
    if (text_->stopped()) StopWorker();
    std::vector<v1::AnswerEvent> events;
    if (first) events.push_back(ProgressEvent(static_cast<int64_t>(task_.built->ids.size())));
    events.push_back(std::move(event));
    Store(std::move(events));
  }

  void AddLogprobs(const TokenEvent& token, v1::AnswerEvent::TextDelta& delta) const {
    if (!token.logprob) return;
    const auto add = [&](int32_t id, float logprob) {
      v1::TokenLogprob& out = *delta.add_logprobs();
      out.set_token(context_.prompts.tokenizer().Decode({&id, 1}, /*skip_special=*/false));
      out.set_token_id(id);
      out.set_logprob(logprob);
    };
    add(token.token_id, *token.logprob);
    for (const TokenLogprob& top : token.top_logprobs) add(top.token_id, top.logprob);
  }

  void StopWorker() {
    std::optional<RequestId> id;
    {
      const std::lock_guard lock(mutex_);
      id = request_id_;
    }
    if (id) context_.worker.Cancel(*id);
  }

  void Complete(const Finished& finished) {
    std::vector<v1::AnswerEvent> events;
    FinishReason reason = finished.reason;
    const bool was_stopped = text_ && text_->stopped();
    if (text_ && !was_stopped) {
      v1::AnswerEvent rest = NewEvent();
      rest.mutable_text_delta()->set_text(text_->Finish());
      if (!rest.text_delta().text().empty()) events.push_back(std::move(rest));
    }
    // A stop string ends the request by cancelling it: that is a stop, not a cancellation.
    if (text_ && text_->stopped() && reason != FinishReason::kError) reason = FinishReason::kStop;
    v1::AnswerEvent event = NewEvent();
    v1::Answer& answer = *event.mutable_finished();
    answer.set_question_id(task_.question_id);
    answer.set_question(task_.question);
    answer.set_finish_reason(ToProto(reason));
    answer.set_done(true);
    if (task_.built && text_) {
      DescribeAnswer(context_.prompts.chat(), *task_.built->shared, text_->raw(),
                     finished.selection_counts, task_.options, answer);
    }
    if (reason == FinishReason::kError)
      *answer.mutable_error() = common::ToRpcStatus(finished.status);
    FillUsage(finished, *answer.mutable_usage());
    RecordAnswer(context_.metrics, context_.worker.info().model_name,
                 {.usage = answer.usage(),
                  .has_first_token = first_token_at_.has_value() && known_ == 0,
                  .e2e_seconds = base::Seconds(context_.clock.Now() - task_.accepted)});
    events.push_back(std::move(event));
    if (!Store(std::move(events))) return;
    over_ = true;
    task_.done(absl::OkStatus());
  }

  void FillUsage(const Finished& finished, v1::Usage& usage) const {
    if (task_.built) usage.set_prompt_tokens(static_cast<int64_t>(task_.built->ids.size()));
    usage.set_cached_tokens_device(finished.prompt_tokens.device);
    usage.set_cached_tokens_disk(finished.prompt_tokens.disk);
    usage.set_generated_tokens(num_generated_);
    if (first_token_at_) usage.set_ttft_seconds(base::Seconds(*first_token_at_ - task_.accepted));
    usage.set_queue_seconds(finished.queue_seconds);
    usage.set_restore_seconds(finished.restore_seconds);
    usage.set_prefill_seconds(finished.prefill_seconds);
    usage.set_decode_seconds(finished.decode_seconds);
  }

  void Fail(absl::Status status) {
    Finished failed;
    failed.reason = FinishReason::kError;
    failed.status = std::move(status);
    Complete(failed);
  }

  v1::AnswerEvent NewEvent() const {
    v1::AnswerEvent event;
    event.set_question_index(task_.question_index);
    return event;
  }

  v1::AnswerEvent StartedEvent() const {
    v1::AnswerEvent event = NewEvent();
    event.mutable_started()->set_question_id(task_.question_id);
    event.mutable_started()->set_question(task_.question);
    event.mutable_started()->set_scope(task_.built->shared->scope);
    event.mutable_started()->set_prompt_tokens(static_cast<int64_t>(task_.built->ids.size()));
    return event;
  }

  v1::AnswerEvent ProgressEvent(int64_t done) const {
    v1::AnswerEvent event = NewEvent();
    event.mutable_progress()->set_prompt_tokens_done(done);
    event.mutable_progress()->set_prompt_tokens_total(
        static_cast<int64_t>(task_.built->ids.size()));
    return event;
  }

  // False where the answer broke off: what is not durable must not be seen, so nothing can follow.
  bool Store(std::vector<v1::AnswerEvent> events) {
    const absl::Status status = task_.store(std::move(events));
    if (status.ok()) return true;
    base::Log(base::LogLevel::kError, "answerer",
              absl::StrCat("an answer broke off: ", base::ToAbsl(status.ToString())));
    over_ = true;
    StopWorker();
    task_.done(status);
    return false;
  }

  const AnswerContext context_;

  std::mutex mutex_;
  Inbox inbox_;
  bool scheduled_ = false;
  bool abandoned_ = false;
  std::optional<RequestId> request_id_;  // while the worker may hold the request
  std::optional<nanoseconds> cancelled_at_;
  nanoseconds progress_at_{0};  // of the last progress event

  // Touched in Run alone.
  AnswerTask task_;
  std::optional<AnswerText> text_;  // set once the prompt is built
  bool over_ = false;
  int64_t known_ = 0;          // tokens of an earlier run
  int64_t num_generated_ = 0;  // those and the new ones
  std::optional<nanoseconds> first_token_at_;
};

}  // namespace

std::shared_ptr<RunningAnswer> StartAnswer(const AnswerContext& context, AnswerTask task) {
  LECTERN_CHECK(task.store && task.done);
  auto answer = std::make_shared<Answer>(context, std::move(task));
  answer->Begin();
  return answer;
}

sampling::SamplingParams ToSamplingParams(const v1::SamplingOptions& options) {
  sampling::SamplingParams params;
  params.temperature = options.temperature();
  if (options.top_p() > 0) params.top_p = options.top_p();
  params.top_k = options.top_k();
  params.min_p = options.min_p();
  if (options.repetition_penalty() > 0) params.repetition_penalty = options.repetition_penalty();
  params.seed = options.seed();
  if (options.has_logprobs()) params.logprobs = options.logprobs();
  return params;
}

}  // namespace lectern::frontend
