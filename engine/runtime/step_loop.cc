#include "engine/runtime/step_loop.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/base/status.h"

namespace lectern::runtime {
namespace {

double SecondsBetween(std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
  return base::Seconds(to - from);
}

bool IsStop(const Request& request, int32_t token) {
  return std::ranges::find(request.stop_token_ids, token) != request.stop_token_ids.end();
}

PromptTokens SourcesOf(const Sequence& sequence) {
  const int64_t prompt = sequence.prompt_size();
  PromptTokens tokens;
  tokens.device = std::min(prompt, sequence.memory_pages * cache::kPageSize);
  tokens.disk =
      std::min(prompt, (sequence.memory_pages + sequence.restored_pages) * cache::kPageSize) -
      tokens.device;
  tokens.computed =
      std::max<int64_t>(0, std::min(prompt, sequence.computed) - tokens.device - tokens.disk);
  return tokens;
}

// Early Full layers choose by place (what is near, how text begins), late ones by content: with the
// default model the passage that answers was among the first three in 4 of 16 questions over the
// sample manual when all of its three Full layers counted, and in 12 of 16 when the deepest alone
// did.
std::size_t NumEvidenceLayers(std::size_t num_full_layers) { return (num_full_layers + 2) / 3; }

}  // namespace

StepLoop::StepLoop(model::Model& model, SequencePages& pages,
                   const scheduler::SchedulerOptions& options, EngineMetrics& metrics,
                   const base::Clock& clock)
    : model_(model), pages_(pages), metrics_(metrics), clock_(clock), scheduler_(options) {
  RefreshStats();
}

void StepLoop::Accept(std::unique_ptr<Sequence> accepted) {
  Sequence& sequence = *accepted;
  sequences_[sequence.id] = std::move(accepted);
  if (sequence.generated() >= sequence.request.max_new_tokens) {
    return Finish(sequence, FinishReason::kLength);
  }
  scheduler_.Enqueue(sequence.id, sequence.request.priority);
}

void StepLoop::Cancel(RequestId id) {
  const auto found = sequences_.find(id);
  if (found != sequences_.end()) Finish(*found->second, FinishReason::kCancelled);
}

void StepLoop::CancelAll() {
  while (!sequences_.empty()) Finish(*sequences_.begin()->second, FinishReason::kCancelled);
}

bool StepLoop::Tick() {
  TakeLoaded();
  AdmitWaiting();
  const scheduler::StepPlan plan = scheduler_.PlanStep();
  if (!plan.sequences.empty()) RunStep(plan);
  RefreshStats();
  return !plan.sequences.empty();
}

void StepLoop::TakeLoaded() {
  if (pages_.tier() == nullptr) return;
  for (const cache::LoadedPage& loaded : pages_.tier()->TakeLoaded()) {
    const auto found = sequences_.find(loaded.ticket);
    if (found == sequences_.end()) continue;  // cancelled meanwhile
    Sequence& sequence = *found->second;
    if (!pages_.OnLoaded(sequence, loaded)) continue;
    StartPrefill(sequence);
  }
}

void StepLoop::AdmitWaiting() {
  std::vector<Sequence*> admitted;
  scheduler_.AdmitWaiting([&](scheduler::SequenceId id) {
    Sequence& sequence = *sequences_.at(id);
    const scheduler::Admission answer = pages_.TryAdmit(sequence);
    if (answer == scheduler::Admission::kAdmitted) admitted.push_back(&sequence);
    return answer;
  });
  for (Sequence* sequence : admitted) {
    sequence->admitted_at = clock_.Now();
    sequence->phase = Sequence::Phase::kRestoring;
    if (sequence->loads_outstanding == 0) StartPrefill(*sequence);
  }
}

void StepLoop::StartPrefill(Sequence& sequence) {
  sequence.restored_at = clock_.Now();
  sequence.phase = Sequence::Phase::kPrefill;
  scheduler_.SetPrefill(sequence.id, sequence.remaining());
}

void StepLoop::RunStep(const scheduler::StepPlan& plan) {
  batch_.Clear();
  for (const scheduler::PlannedSequence& planned : plan.sequences) {
    Sequence& sequence = *sequences_.at(planned.id);
    pages_.Grow(sequence, planned.num_tokens);
    batch_.Add(sequence, planned.num_tokens);
  }
  const absl::StatusOr<model::StepOutput> output =
      model_.Forward(batch_.Input(pages_.pool().view()));
  if (!output.ok()) {
    // Rows of this step may be half written; they are in pages that nobody else can see.
    for (const StepBatch::Part& part : batch_.parts()) {
      Finish(*part.sequence, FinishReason::kError, base::Annotate(output.status(), "step"));
    }
    return;
  }
  const int num_full = model_.policy().num_full();
  const int num_shared = model_.policy().num_layers() - num_full;
  indexer_runs_ += num_full;
  index_reuses_ += num_shared;
  metrics_.Step(num_full, num_shared);
  for (const StepBatch::Part& part : batch_.parts()) Commit(part, *output);
}

void StepLoop::Commit(const StepBatch::Part& part, const model::StepOutput& output) {
  Sequence& sequence = *part.sequence;
  sequence.computed += part.num_tokens;
  pages_.Publish(sequence);
  if (part.logit_row < 0) {
    CountSelections(part, 0, part.num_selections, output);
    if (sequence.callbacks.on_progress) sequence.callbacks.on_progress(sequence.computed);
    return scheduler_.SetPrefill(sequence.id, sequence.remaining());
  }
  const auto vocab_size = static_cast<std::size_t>(model_.config().vocab_size);
  const auto token = sampler_.Sample(
      output.logits.subspan(static_cast<std::size_t>(part.logit_row) * vocab_size, vocab_size),
      sequence.request.sampling, sequence.tokens, sequence.generated());
  if (!token.ok()) {
    return Finish(sequence, FinishReason::kError, base::Annotate(token.status(), "sampling"));
  }
  // The last row is this token's query; a stop token is no part of the answer.
  const bool stop = IsStop(sequence.request, token->token_id);
  CountSelections(part, 0, part.num_selections - (stop ? 1 : 0), output);
  if (!sequence.first_token_at) sequence.first_token_at = clock_.Now();
  if (stop) return Finish(sequence, FinishReason::kStop);
  Deliver(sequence, *token);
}

void StepLoop::Deliver(Sequence& sequence, const sampling::SampledToken& token) {
  const auto now = clock_.Now();
  if (sequence.phase == Sequence::Phase::kDecode) {
    metrics_.InterTokenLatency(SecondsBetween(sequence.last_token_at, now));
  }
  sequence.last_token_at = now;
  TokenEvent event;
  event.token_id = token.token_id;
  event.index = sequence.generated();
  event.logprob = token.logprob;
  for (const sampling::TokenLogprob& top : token.top_logprobs) {
    event.top_logprobs.push_back({top.token_id, top.logprob});
  }
  sequence.tokens.push_back(token.token_id);
  ++sequence.delivered;
  if (sequence.callbacks.on_token) sequence.callbacks.on_token(event);
  if (sequence.generated() >= sequence.request.max_new_tokens) {
    return Finish(sequence, FinishReason::kLength);
  }
  sequence.phase = Sequence::Phase::kDecode;
  scheduler_.SetDecode(sequence.id);
}

void StepLoop::CountSelections(const StepBatch::Part& part, int32_t first, int32_t count,
                               const model::StepOutput& output) {
  if (count <= first) return;
  std::vector<uint32_t>& counts = part.sequence->selection_counts;
  counts.resize(part.sequence->tokens.size());
  const auto topk = static_cast<std::size_t>(model_.config().index_topk);
  const std::span<const std::span<const int32_t>> full_layers(output.selections);
  for (const std::span<const int32_t> layer :
       full_layers.last(NumEvidenceLayers(full_layers.size()))) {
    const auto rows = layer.subspan(static_cast<std::size_t>(part.first_selection + first) * topk,
                                    static_cast<std::size_t>(count - first) * topk);
    for (const int32_t position : rows) {
      if (position >= 0) ++counts[static_cast<std::size_t>(position)];
    }
  }
}

void StepLoop::Finish(Sequence& sequence, FinishReason reason, absl::Status status) {
  pages_.Release(sequence);
  scheduler_.Remove(sequence.id);
  const auto node = sequences_.extract(sequence.id);
  leaked_ = pages_.CountLeaked(sequences_);
  RefreshStats();
  const Finished finished = Describe(sequence, reason, std::move(status));
  metrics_.Finished(finished, sequence.delivered);
  if (sequence.callbacks.on_finished) sequence.callbacks.on_finished(finished);
}

Finished StepLoop::Describe(const Sequence& sequence, FinishReason reason,
                            absl::Status status) const {
  const auto now = clock_.Now();
  Finished finished;
  finished.reason = reason;
  finished.status = std::move(status);
  finished.prompt_tokens = SourcesOf(sequence);
  finished.generated_tokens = sequence.generated();
  finished.queue_seconds = SecondsBetween(sequence.accepted_at, sequence.admitted_at.value_or(now));
  if (sequence.admitted_at) {
    finished.restore_seconds =
        SecondsBetween(*sequence.admitted_at, sequence.restored_at.value_or(now));
  }
  if (sequence.restored_at) {
    finished.prefill_seconds =
        SecondsBetween(*sequence.restored_at, sequence.first_token_at.value_or(now));
  }
  if (sequence.first_token_at) {
    finished.decode_seconds = SecondsBetween(*sequence.first_token_at, now);
    if (sequence.delivered > 0) {
      finished.ttft_seconds = SecondsBetween(sequence.accepted_at, *sequence.first_token_at);
    }
  }
  if (sequence.request.record_selections) {
    finished.selection_counts = sequence.selection_counts;
    finished.selection_counts.resize(sequence.tokens.size());
  }
  return finished;
}

void StepLoop::RefreshStats() {
  EngineStats now;
  now.requests_running = scheduler_.num_running();
  now.requests_waiting = scheduler_.num_waiting();
  now.pages_leaked = leaked_;
  now.indexer_runs = indexer_runs_;
  now.index_reuses = index_reuses_;
  {
    const std::lock_guard lock(stats_mutex_);
    published_ = now;
  }
  metrics_.Gauges(stats(), pages_.pool().counts(), pages_.pool().layout().page_bytes());
}

EngineStats StepLoop::stats() const {
  EngineStats now;
  {
    const std::lock_guard lock(stats_mutex_);
    now = published_;
  }
  const cache::PoolCounts pool = pages_.pool().counts();
  now.pages_total = pool.total;
  now.pages_free = pool.free;
  now.pages_cached = pool.cached;
  if (const cache::PageTier* tier = pages_.tier()) {
    const cache::TierStats disk = tier->Stats();
    now.disk_pages = disk.pages;
    now.disk_bytes = disk.bytes;
    now.integrity_failures = disk.integrity_failures;
  }
  now.miss_reasons = pages_.miss_reasons();
  return now;
}

}  // namespace lectern::runtime
