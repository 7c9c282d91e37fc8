#pragma once
// One job from its first question to its last, in this process. What is durable is the truth: a job
// that broke off (crash, full disk) is run again from its record and its events.

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lectern/v1/resources.pb.h"
#include "services/frontend/answerer.h"
#include "services/frontend/event_log.h"
#include "services/state/state_store.h"

namespace lectern::frontend {

// What of an answer's stored events counts when it is resumed.
struct StoredAnswer {
  bool started = false;
  bool finished = false;
  v1::FinishReason finish_reason = v1::FINISH_REASON_UNSPECIFIED;
  std::vector<int32_t> generated;
};
// [num_questions] from all events of a stream; events of other questions are ignored.
std::vector<StoredAnswer> SummarizeEvents(const std::vector<v1::AnswerEvent>& events,
                                          int num_questions);

// Thread safe. Lives while questions run.
class JobRun : public std::enable_shared_from_this<JobRun> {
 public:
  // On the pool, without locks of the runner: OK when the job has ended; else why it broke off.
  using OnEnd = std::function<void(const absl::Status&)>;

  // `context` may be null where no engine runs: such a run can only be cancelled.
  JobRun(const AnswerContext* context, const base::Clock& clock, v1::Job record,
         std::vector<StoredAnswer> stored, std::shared_ptr<EventStream> stream,
         std::chrono::nanoseconds accepted, OnEnd on_end);

  // Starts questions: the first alone, so that the document is computed once, then several at a
  // time.
  void Start();
  // Every question that has not finished ends as CANCELLED, then the job. Durable soon after, on
  // the pool.
  absl::Status Cancel();
  void Abandon();
  const std::shared_ptr<EventStream>& stream() const { return stream_; }

 private:
  enum class Phase { kPending, kRunning, kFinished };
  struct Question {
    Phase phase = Phase::kPending;
    StoredAnswer stored;
    std::shared_ptr<RunningAnswer> answer;
  };

  void StartQuestions();
  AnswerTask MakeTask(int index);
  absl::Status Store(std::vector<v1::AnswerEvent> events);
  absl::Status StoreLocked(std::vector<v1::AnswerEvent> events);
  void OnAnswerDone(int index, const absl::Status& status);
  v1::JobState EndState(bool cancelled, const std::vector<v1::AnswerEvent>& events) const;
  void End(const absl::Status& status);

  const AnswerContext* const context_;
  const base::Clock& clock_;
  const std::shared_ptr<EventStream> stream_;
  const std::chrono::nanoseconds accepted_;
  OnEnd on_end_;

  std::mutex mutex_;
  v1::Job record_;  // as stored
  std::vector<Question> questions_;
  bool fresh_ = false;         // nothing ran in an earlier process
  bool prefix_ready_ = false;  // a question has a token: the documents' pages are published
  bool cancelled_ = false;
  bool over_ = false;
};

}  // namespace lectern::frontend
