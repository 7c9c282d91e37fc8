#pragma once
// Names and labels of what the loop counts, in one place.

#include <string>
#include <string_view>

#include "engine/base/metrics.h"
#include "engine/cache/block_pool.h"
#include "engine/engine.h"

namespace lectern::runtime {

class EngineMetrics {
 public:
  EngineMetrics(base::Metrics& metrics, std::string model)
      : metrics_(metrics), model_(std::move(model)) {}

  void Rejected(std::string_view reason);
  void Step(int full_layers, int shared_layers);
  void InterTokenLatency(double seconds);
  // The computed tokens of a prompt count when its request ends, also without an answer.
  void Finished(const lectern::Finished& finished, int64_t new_tokens);
  void Gauges(const EngineStats& stats, const cache::PoolCounts& pool, int64_t page_bytes);

 private:
  void Observe(std::string_view name, double seconds);
  void CountPromptTokens(std::string_view source, int64_t tokens);

  base::Metrics& metrics_;
  const std::string model_;
};

std::string_view NameOf(FinishReason reason);

}  // namespace lectern::runtime
