#include "services/frontend/job_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"
#include "services/frontend/resource_names.h"
#include "services/frontend/state_keys.h"
#include "services/frontend/timestamps.h"

namespace lectern::frontend {
namespace {

// Questions of one job in the engine at once, behind the first.
constexpr int kQuestionsAtOnce = 4;

std::string QuestionId(const v1::Job& job, int index) {
  const std::string& id = job.questions(index).id();
  return id.empty() ? absl::StrCat(index) : id;
}

}  // namespace

std::vector<StoredAnswer> SummarizeEvents(const std::vector<v1::AnswerEvent>& events,
                                          int num_questions) {
  std::vector<StoredAnswer> answers(static_cast<size_t>(num_questions));
  for (const v1::AnswerEvent& event : events) {
    if (event.question_index() < 0 || event.question_index() >= num_questions) continue;
    StoredAnswer& answer = answers[static_cast<size_t>(event.question_index())];
    if (event.has_started()) answer.started = true;
    if (event.has_text_delta()) {
      const auto& ids = event.text_delta().token_ids();
      answer.generated.insert(answer.generated.end(), ids.begin(), ids.end());
    }
    if (event.has_finished()) {
      answer.finished = true;
      answer.finish_reason = event.finished().finish_reason();
    }
  }
  return answers;
}

JobRun::JobRun(const AnswerContext* context, const base::Clock& clock, v1::Job record,
               std::vector<StoredAnswer> stored, std::shared_ptr<EventStream> stream,
               std::chrono::nanoseconds accepted, OnEnd on_end)
    : context_(context),
      clock_(clock),
      stream_(std::move(stream)),
      accepted_(accepted),
      on_end_(std::move(on_end)),
      record_(std::move(record)) {
  LECTERN_CHECK(static_cast<int>(stored.size()) == record_.questions_size());
  fresh_ = stream_->last_seq() == 0;
  for (StoredAnswer& answer : stored) {
    Question& question = questions_.emplace_back();
    if (answer.finished) {
      question.phase = Phase::kFinished;
      prefix_ready_ = true;
    }
    question.stored = std::move(answer);
  }
}

void JobRun::Start() { StartQuestions(); }

void JobRun::StartQuestions() {
  const std::lock_guard lock(mutex_);
  if (cancelled_ || over_ || context_ == nullptr) return;
  const int at_once = prefix_ready_ ? kQuestionsAtOnce : 1;
  int running = 0;
  for (const Question& question : questions_) running += question.phase == Phase::kRunning;
  for (size_t i = 0; i < questions_.size() && running < at_once; ++i) {
    if (questions_[i].phase != Phase::kPending) continue;
    questions_[i].phase = Phase::kRunning;
    // StartAnswer only enqueues, so holding the lock is safe.
    questions_[i].answer = StartAnswer(*context_, MakeTask(static_cast<int>(i)));
    ++running;
  }
}

AnswerTask JobRun::MakeTask(int index) {
  Question& question = questions_[static_cast<size_t>(index)];
  AnswerTask task;
  task.question_index = index;
  task.question_id = QuestionId(record_, index);
  task.question = record_.questions(index).text();
  task.options = record_.options();
  task.prompt.documents.assign(record_.documents().begin(), record_.documents().end());
  task.prompt.turns.push_back(
      {.user = task.question, .assistant = std::nullopt, .assistant_ids = {}});
  task.prompt.whole = record_.options().whole();
  task.prompt.max_new_tokens = record_.options().sampling().max_new_tokens();
  task.started = question.stored.started;
  task.generated = std::move(question.stored.generated);
  // The first question's clock starts with the job; the others wait for the first by design, not by
  // load.
  task.accepted = index == 0 && fresh_ ? accepted_ : clock_.Now();
  task.store = [self = shared_from_this()](std::vector<v1::AnswerEvent> events) {
    return self->Store(std::move(events));
  };
  task.done = [self = shared_from_this(), index](const absl::Status& status) {
    self->OnAnswerDone(index, status);
  };
  return task;
}

absl::Status JobRun::Store(std::vector<v1::AnswerEvent> events) {
  bool first_token = false;
  {
    const std::lock_guard lock(mutex_);
    const bool has_text = std::any_of(events.begin(), events.end(),
                                      [](const v1::AnswerEvent& e) { return e.has_text_delta(); });
    RETURN_IF_ERROR(StoreLocked(std::move(events)));
    first_token = has_text && !prefix_ready_;
    prefix_ready_ = prefix_ready_ || has_text;
  }
  if (first_token) StartQuestions();
  return absl::OkStatus();
}

v1::JobState JobRun::EndState(bool cancelled, const std::vector<v1::AnswerEvent>& events) const {
  if (cancelled) return v1::JOB_STATE_CANCELLED;
  const auto failed = [](const v1::AnswerEvent& event) {
    return event.has_finished() && event.finished().finish_reason() == v1::FINISH_REASON_ERROR;
  };
  const bool now = std::any_of(events.begin(), events.end(), failed);
  const bool before = std::any_of(questions_.begin(), questions_.end(), [](const Question& q) {
    return q.stored.finish_reason == v1::FINISH_REASON_ERROR;
  });
  return now || before ? v1::JOB_STATE_FAILED : v1::JOB_STATE_SUCCEEDED;
}

// Events, answers, and the job's record are one write: after a crash they agree.
absl::Status JobRun::StoreLocked(std::vector<v1::AnswerEvent> events) {
  const std::string id = *ParseName("jobs", record_.name());
  v1::Job next = record_;
  next.set_state(v1::JOB_STATE_RUNNING);
  std::vector<state::Mutation> mutations;
  std::vector<std::pair<int, v1::FinishReason>> finished;
  for (const v1::AnswerEvent& event : events) {
    if (!event.has_finished()) continue;
    mutations.push_back(
        {keys::Answer(id, event.question_index()), event.finished().SerializeAsString()});
    finished.emplace_back(event.question_index(), event.finished().finish_reason());
  }
  next.set_questions_done(record_.questions_done() + static_cast<int>(finished.size()));
  if (next.questions_done() == next.questions_size()) {
    next.set_state(EndState(cancelled_, events));
    events.emplace_back().set_job_state(next.state());
  }
  const bool changed = !finished.empty() || next.state() != record_.state();
  if (changed) *next.mutable_update_time() = WallTimestamp(clock_);
  const auto companions = [&](int64_t last_seq) {
    if (changed) {
      next.set_last_seq(last_seq);
      mutations.push_back({keys::Job(id), next.SerializeAsString()});
    }
    return std::move(mutations);
  };
  RETURN_IF_ERROR(stream_->Append(
      std::move(events), finished.empty() ? state::Durability::kLogged : state::Durability::kSynced,
      companions));
  record_ = std::move(next);
  for (const auto& [index, reason] : finished) {
    Question& question = questions_[static_cast<size_t>(index)];
    question.phase = Phase::kFinished;
    question.stored.finish_reason = reason;
    prefix_ready_ = true;
  }
  return absl::OkStatus();
}

void JobRun::OnAnswerDone(int index, const absl::Status& status) {
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    questions_[static_cast<size_t>(index)].answer.reset();
    ended = record_.questions_done() == record_.questions_size();
  }
  if (!status.ok()) return End(status);
  if (ended) return End(absl::OkStatus());
  StartQuestions();
}

void JobRun::End(const absl::Status& status) {
  OnEnd on_end;
  std::vector<std::shared_ptr<RunningAnswer>> running;
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    over_ = true;
    on_end = std::move(on_end_);
    for (Question& question : questions_) {
      if (question.answer) running.push_back(std::move(question.answer));
    }
  }
  for (const auto& answer : running) answer->Abandon();
  on_end(status);
}

absl::Status JobRun::Cancel() {
  std::vector<std::shared_ptr<RunningAnswer>> running;
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    if (over_ || cancelled_) return absl::OkStatus();
    cancelled_ = true;
    std::vector<v1::AnswerEvent> events;
    for (size_t i = 0; i < questions_.size(); ++i) {
      if (questions_[i].answer) running.push_back(questions_[i].answer);
      if (questions_[i].phase != Phase::kPending) continue;
      v1::AnswerEvent& event = events.emplace_back();
      event.set_question_index(static_cast<int32_t>(i));
      v1::Answer& answer = *event.mutable_finished();
      answer.set_question_id(QuestionId(record_, static_cast<int>(i)));
      answer.set_question(record_.questions(static_cast<int>(i)).text());
      answer.set_finish_reason(v1::FINISH_REASON_CANCELLED);
      answer.set_done(true);
    }
    if (!events.empty()) {
      const absl::Status stored = StoreLocked(std::move(events));
      if (!stored.ok()) {
        cancelled_ = false;
        return stored;
      }
    }
    ended = record_.questions_done() == record_.questions_size();
  }
  for (const auto& answer : running) answer->Cancel();
  if (ended) End(absl::OkStatus());
  return absl::OkStatus();
}

void JobRun::Abandon() {
  std::vector<std::shared_ptr<RunningAnswer>> running;
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    over_ = true;
    on_end_ = nullptr;
    for (Question& question : questions_) {
      if (question.answer) running.push_back(std::move(question.answer));
    }
  }
  for (const auto& answer : running) answer->Abandon();
}

}  // namespace lectern::frontend
