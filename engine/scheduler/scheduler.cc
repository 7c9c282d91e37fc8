#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <tuple>

#include "engine/base/check.h"

namespace lectern::scheduler {
namespace {

// Of the prefill tokens of a step, for the prefill that waits longest.
constexpr int kOldestShareDivisor = 4;

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options), waiting_(options.max_overtaken) {
  LECTERN_CHECK(options.max_batch_tokens >= 1 && options.max_running >= 1);
}

void Scheduler::Enqueue(SequenceId id, int priority) {
  LECTERN_CHECK(!running_.contains(id));
  waiting_.Push(id, priority);
  priorities_[id] = priority;
}

void Scheduler::AdmitWaiting(const std::function<Admission(SequenceId)>& try_admit) {
  const int slots = options_.max_running - static_cast<int>(num_running());
  waiting_.Admit(slots, [&](SequenceId id) {
    const Admission answer = try_admit(id);
    if (answer != Admission::kAdmitted) return answer;
    Running state;
    state.priority = priorities_[id];
    state.arrival = ++arrivals_;
    running_[id] = state;
    priorities_.erase(id);
    return answer;
  });
}

void Scheduler::SetPrefill(SequenceId id, int64_t remaining_tokens) {
  LECTERN_CHECK(running_.contains(id) && remaining_tokens >= 0);
  Running& state = running_[id];
  state.phase = remaining_tokens > 0 ? Phase::kPrefill : Phase::kIdle;
  state.remaining = remaining_tokens;
}

void Scheduler::SetDecode(SequenceId id) {
  LECTERN_CHECK(running_.contains(id));
  running_[id].phase = Phase::kDecode;
  running_[id].remaining = 1;
}

void Scheduler::Remove(SequenceId id) {
  if (waiting_.Erase(id)) priorities_.erase(id);
  running_.erase(id);
}

StepPlan Scheduler::PlanStep() {
  ++step_;
  StepPlan plan;
  const bool prefill_waits = !Collect(Phase::kPrefill).empty();
  PlanDecode(DecodeShare(options_.max_batch_tokens, prefill_waits), plan);
  PlanPrefill(options_.max_batch_tokens - static_cast<int>(plan.sequences.size()), plan);
  return plan;
}

std::vector<Scheduler::Candidate> Scheduler::Collect(Phase phase) {
  std::vector<Candidate> candidates;
  for (auto& [id, state] : running_) {
    if (state.phase == phase) candidates.push_back({id, &state});
  }
  return candidates;
}

// Decode may not eat the whole budget for ever: a waiting prefill gets a token a step at least, and
// with a budget of one token the two take turns.
int Scheduler::DecodeShare(int budget, bool prefill_waits) const {
  if (!prefill_waits) return budget;
  if (budget > 1) return budget - 1;
  return step_ % 2 == 0 ? 1 : 0;
}

void Scheduler::PlanDecode(int budget, StepPlan& plan) {
  std::vector<Candidate> candidates = Collect(Phase::kDecode);
  // Where not all fit, those served longest ago come first: turns. Ids make the order total.
  std::ranges::sort(candidates, {},
                    [](const Candidate& one) { return std::tuple(one.state->last_step, one.id); });
  if (candidates.size() > static_cast<std::size_t>(budget)) {
    candidates.resize(static_cast<std::size_t>(budget));
  }
  for (const Candidate& one : candidates) {
    plan.sequences.push_back({one.id, 1});
    one.state->last_step = step_;
  }
}

void Scheduler::PlanPrefill(int budget, StepPlan& plan) {
  std::vector<Candidate> candidates = Collect(Phase::kPrefill);
  if (candidates.empty() || budget == 0) return;
  const Candidate oldest = *std::ranges::min_element(
      candidates, {}, [](const Candidate& one) { return one.state->arrival; });
  const auto sure = static_cast<int>(
      std::min<int64_t>(oldest.state->remaining, std::max(1, budget / kOldestShareDivisor)));
  int rest = budget - sure;
  std::ranges::sort(candidates, {}, [](const Candidate& one) {
    return std::tuple(-one.state->priority, one.state->remaining, one.state->arrival);
  });
  for (const Candidate& one : candidates) {
    const int base = one.id == oldest.id ? sure : 0;
    const auto more = static_cast<int>(std::min<int64_t>(one.state->remaining - base, rest));
    rest -= more;
    if (base + more == 0) continue;
    plan.sequences.push_back({one.id, base + more});
    one.state->last_step = step_;
  }
}

}  // namespace lectern::scheduler
