#pragma once
// One question from prompt to finished answer: tokens of the worker become durable events. Resumes
// an answer that an earlier process began: the stored tokens are replayed, so that no token is lost
// or doubled.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "lectern/v1/resources.pb.h"
#include "services/frontend/prompt_builder.h"
#include "services/frontend/task_pool.h"
#include "services/worker/worker.h"

namespace lectern::frontend {

// What all answers of a process share. Everything outlives every answer.
struct AnswerContext {
  worker::Worker& worker;
  PromptBuilder& prompts;
  TaskPool& pool;
  base::Metrics& metrics;
  const base::Clock& clock;
};

struct AnswerTask {
  int question_index = 0;
  std::string question_id;
  std::string question;
  v1::AnswerOptions options;
  PromptRequest prompt;
  std::shared_ptr<const BuiltPrompt> built;  // where the caller has built it already
  // Of an earlier run: what its stored events hold.
  bool started = false;
  std::vector<int32_t> generated;
  std::chrono::nanoseconds accepted{0};  // monotonic; time to first token counts from here

  // Stores and shows events (numbered by the callee), on the pool, one call at a time. The last
  // call of an answer holds its finished event. Not called any more after an error or after
  // `Abandon`.
  std::function<absl::Status(std::vector<v1::AnswerEvent> events)> store;
  // Once, on the pool: OK after the finished event was stored, else why nothing more will be
  // stored. Never after Abandon.
  std::function<void(const absl::Status&)> done;
};

// Thread safe. Owned by whoever started it and by the callbacks that are under way.
class RunningAnswer {
 public:
  virtual ~RunningAnswer() = default;
  // The answer finishes now as CANCELLED with what it has; the worker frees the request within one
  // step.
  virtual void Cancel() = 0;
  // Stops without a word: nothing more is stored (shutdown; the answer goes on after the next
  // start).
  virtual void Abandon() = 0;
};

// Returns at once; the work begins on the pool.
std::shared_ptr<RunningAnswer> StartAnswer(const AnswerContext& context, AnswerTask task);

// The sampling parameters of a request; zero values mean the defaults that the proto names.
sampling::SamplingParams ToSamplingParams(const v1::SamplingOptions& options);

}  // namespace lectern::frontend
