#include "services/frontend/answer_metrics.h"

namespace lectern::frontend {
namespace {

std::string_view ReasonLabel(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kError: return "error";
  }
  return "unknown";
}

void CountPromptTokens(base::Metrics& metrics, std::string_view model, const v1::Usage& usage) {
  const auto add = [&](std::string_view source, int64_t tokens) {
    if (tokens <= 0) return;
    metrics.Add("lectern_prompt_tokens_total", static_cast<double>(tokens),
                {{"source", source}, {"model", model}, {"tenant", "default"}});
  };
  const int64_t cached = usage.cached_tokens_device() + usage.cached_tokens_host() +
                         usage.cached_tokens_disk() + usage.cached_tokens_remote();
  add("computed", usage.prompt_tokens() - cached);
  add("device", usage.cached_tokens_device());
  add("host", usage.cached_tokens_host());
  add("disk", usage.cached_tokens_disk());
  add("remote", usage.cached_tokens_remote());
}

}  // namespace

std::string_view CacheClass(const v1::Usage& usage) {
  const int64_t cached = usage.cached_tokens_device() + usage.cached_tokens_host() +
                         usage.cached_tokens_disk() + usage.cached_tokens_remote();
  if (cached * 2 < usage.prompt_tokens()) return "miss";
  if (usage.cached_tokens_remote() > 0) return "remote";
  if (usage.cached_tokens_disk() > 0) return "disk";
  if (usage.cached_tokens_host() > 0) return "host";
  return cached > 0 ? "device" : "miss";
}

void RecordAnswer(base::Metrics& metrics, std::string_view model, const EndedAnswer& answer) {
  const v1::Usage& usage = answer.usage;
  metrics.Add("lectern_requests_total", 1, {{"finish_reason", ReasonLabel(answer.reason)}});
  metrics.Observe("lectern_request_e2e_seconds", answer.e2e_seconds, {{"model", model}});
  if (answer.num_new_tokens > 0) {
    metrics.Add("lectern_generation_tokens_total", static_cast<double>(answer.num_new_tokens),
                {{"model", model}, {"tenant", "default"}});
  }
  // An answer that ended before its first token tells nothing of where its prompt came from.
  if (!answer.has_first_token) return;
  metrics.Observe("lectern_time_to_first_token_seconds", usage.ttft_seconds(),
                  {{"model", model}, {"cache", CacheClass(usage)}});
  CountPromptTokens(metrics, model, usage);
  metrics.Observe("lectern_request_queue_seconds", usage.queue_seconds(), {{"model", model}});
  metrics.Observe("lectern_request_restore_seconds", usage.restore_seconds(), {{"model", model}});
  metrics.Observe("lectern_request_prefill_seconds", usage.prefill_seconds(), {{"model", model}});
  metrics.Observe("lectern_request_decode_seconds", usage.decode_seconds(), {{"model", model}});
}

}  // namespace lectern::frontend
