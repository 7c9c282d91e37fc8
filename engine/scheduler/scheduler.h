#pragma once
// Decides what the next step computes. Pure: no device, no I/O, no clock; standard library alone.
//
// A step has a budget of tokens. Decoding sequences take one each first, so the time between tokens
// is bounded by one step; what is left goes to prefills, in chunks:
//   - the prefill that waits longest is sure of a quarter of it: nothing starves behind short
//   prompts;
//   - the rest goes by priority, then to the prompt with the least left to compute: a short
//   question
//     does not stand behind a long document, and the mean time to first token is least.

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "engine/scheduler/waiting_queue.h"

namespace lectern::scheduler {

struct SchedulerOptions {
  int max_batch_tokens = 512;
  int max_running = 32;  // admitted ones, restoring included
  int max_overtaken = 16;
};

// What one sequence computes in a step.
struct PlannedSequence {
  SequenceId id = 0;
  int num_tokens = 0;
  bool operator==(const PlannedSequence&) const = default;
};

// Decoding sequences first. Not more than max_batch_tokens in all, each sequence at most once, at
// least one token each.
struct StepPlan {
  std::vector<PlannedSequence> sequences;
};

// Not thread safe.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  // ---- waiting ----
  void Enqueue(SequenceId id, int priority);
  // Offers waiting sequences while there are running slots; see WaitingQueue::Admit. Admitted ones
  // are idle (restoring) until SetRemaining.
  void AdmitWaiting(const std::function<Admission(SequenceId)>& try_admit);

  // ---- running ----
  // Tokens that are known and not computed: > 1 or the first time, a prefill; 1 after the first
  // token, a decode; 0, idle until set again.
  void SetPrefill(SequenceId id, int64_t remaining_tokens);
  void SetDecode(SequenceId id);

  // Forgets the sequence in whatever state it is. Unknown ids are ignored.
  void Remove(SequenceId id);

  // Plans a step and takes it as done: the caller reports progress by SetPrefill and SetDecode.
  // Empty where every sequence waits or is idle.
  StepPlan PlanStep();

  int64_t num_waiting() const { return waiting_.size(); }
  int64_t num_running() const { return static_cast<int64_t>(running_.size()); }

 private:
  enum class Phase { kIdle, kPrefill, kDecode };
  struct Running {
    Phase phase = Phase::kIdle;
    int priority = 0;
    int64_t remaining = 0;
    uint64_t arrival = 0;
    uint64_t last_step = 0;  // when it was last given a token
  };
  struct Candidate {
    SequenceId id = 0;
    Running* state = nullptr;
  };

  std::vector<Candidate> Collect(Phase phase);
  int DecodeShare(int budget, bool prefill_waits) const;
  void PlanDecode(int budget, StepPlan& plan);
  void PlanPrefill(int budget, StepPlan& plan);

  const SchedulerOptions options_;
  WaitingQueue waiting_;
  std::unordered_map<SequenceId, int> priorities_;  // of waiting ones
  std::unordered_map<SequenceId, Running> running_;
  uint64_t arrivals_ = 0;
  uint64_t step_ = 0;
};

}  // namespace lectern::scheduler
