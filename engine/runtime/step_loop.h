#pragma once
// What happens step by step: admit, restore, plan, compute, sample, publish, tell. One thread; the
// engine around it brings requests in. Scheduler and model meet here.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "engine/model/model.h"
#include "engine/runtime/engine_metrics.h"
#include "engine/runtime/sequence.h"
#include "engine/runtime/sequence_pages.h"
#include "engine/runtime/step_batch.h"
#include "engine/sampling/sampler.h"
#include "engine/scheduler/scheduler.h"

namespace lectern::runtime {

class StepLoop {
 public:
  // All must outlive the loop.
  StepLoop(model::Model& model, SequencePages& pages, const scheduler::SchedulerOptions& options,
           EngineMetrics& metrics, const base::Clock& clock);

  void Accept(std::unique_ptr<Sequence> sequence);
  // Frees everything of the request and reports kCancelled. Unknown ids are ignored.
  void Cancel(RequestId id);
  void CancelAll();
  // Everything up to and including one step. False: nothing to compute until a request or a tier's
  // wake comes.
  bool Tick();

  // Any thread. As of the last tick or finished request; pages as of now.
  EngineStats stats() const;

 private:
  void TakeLoaded();
  void AdmitWaiting();
  void StartPrefill(Sequence& sequence);
  void RunStep(const scheduler::StepPlan& plan);
  void Commit(const StepBatch::Part& part, const model::StepOutput& output);
  void Deliver(Sequence& sequence, const sampling::SampledToken& token);
  void CountSelections(const StepBatch::Part& part, int32_t first, int32_t count,
                       const model::StepOutput& output);
  void Finish(Sequence& sequence, FinishReason reason, absl::Status status = absl::OkStatus());
  Finished Describe(const Sequence& sequence, FinishReason reason, absl::Status status) const;
  void RefreshStats();

  model::Model& model_;
  SequencePages& pages_;
  EngineMetrics& metrics_;
  const base::Clock& clock_;
  scheduler::Scheduler scheduler_;
  StepBatch batch_;
  sampling::Sampler sampler_;
  std::map<RequestId, std::unique_ptr<Sequence>> sequences_;
  int64_t indexer_runs_ = 0;
  int64_t index_reuses_ = 0;
  int64_t leaked_ = 0;

  mutable std::mutex stats_mutex_;
  EngineStats published_;  // guarded by stats_mutex_
};

}  // namespace lectern::runtime
