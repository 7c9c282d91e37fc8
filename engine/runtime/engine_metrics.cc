#include "engine/runtime/engine_metrics.h"

namespace lectern::runtime {

std::string_view NameOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      break;
  }
  return "error";
}

void EngineMetrics::Rejected(std::string_view reason) {
  metrics_.Add("lectern_admission_rejections_total", 1, {{"reason", reason}});
}

void EngineMetrics::Step(int full_layers, int shared_layers) {
  metrics_.Add("lectern_indexer_runs_total", full_layers, {});
  metrics_.Add("lectern_index_reuses_total", shared_layers, {});
}

void EngineMetrics::InterTokenLatency(double seconds) {
  Observe("lectern_inter_token_latency_seconds", seconds);
}

void EngineMetrics::Finished(const lectern::Finished& finished, int64_t new_tokens) {
  metrics_.Add("lectern_requests_total", 1, {{"finish_reason", NameOf(finished.reason)}});
  Observe("lectern_request_queue_seconds", finished.queue_seconds);
  Observe("lectern_request_restore_seconds", finished.restore_seconds);
  Observe("lectern_request_prefill_seconds", finished.prefill_seconds);
  Observe("lectern_request_decode_seconds", finished.decode_seconds);
  CountPromptTokens("computed", finished.prompt_tokens.computed);
  CountPromptTokens("device", finished.prompt_tokens.device);
  CountPromptTokens("disk", finished.prompt_tokens.disk);
  metrics_.Add("lectern_generation_tokens_total", static_cast<double>(new_tokens),
               {{"model", model_}});
}

void EngineMetrics::Gauges(const EngineStats& stats, const cache::PoolCounts& pool,
                           int64_t page_bytes) {
  metrics_.Set("lectern_requests_running", static_cast<double>(stats.requests_running), {});
  metrics_.Set("lectern_requests_waiting", static_cast<double>(stats.requests_waiting), {});
  metrics_.Set("lectern_leaked_pages", static_cast<double>(stats.pages_leaked), {});
  metrics_.Set("lectern_kv_usage_ratio",
               static_cast<double>(pool.referenced) / static_cast<double>(pool.total), {});
  const auto pages = [&](std::string_view state, int64_t count) {
    metrics_.Set("lectern_cache_pages", static_cast<double>(count),
                 {{"tier", "device"}, {"state", state}});
  };
  pages("free", pool.free);
  pages("cached", pool.cached);
  pages("referenced", pool.referenced);
  pages("loading", pool.loading);
  metrics_.Set("lectern_cache_bytes",
               static_cast<double>((pool.cached + pool.referenced) * page_bytes),
               {{"tier", "device"}});
  metrics_.Set("lectern_cache_pages", static_cast<double>(stats.disk_pages),
               {{"tier", "disk"}, {"state", "cached"}});
  metrics_.Set("lectern_cache_bytes", static_cast<double>(stats.disk_bytes), {{"tier", "disk"}});
}

void EngineMetrics::Observe(std::string_view name, double seconds) {
  metrics_.Observe(name, seconds, {{"model", model_}});
}

void EngineMetrics::CountPromptTokens(std::string_view source, int64_t tokens) {
  if (tokens == 0) return;
  metrics_.Add("lectern_prompt_tokens_total", static_cast<double>(tokens),
               {{"source", source}, {"model", model_}});
}

}  // namespace lectern::runtime
