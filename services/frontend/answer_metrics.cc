#include "services/frontend/answer_metrics.h"

namespace lectern::frontend {
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
  metrics.Observe("lectern_request_e2e_seconds", answer.e2e_seconds, {{"model", model}});
  if (!answer.has_first_token) return;
  metrics.Observe("lectern_time_to_first_token_seconds", answer.usage.ttft_seconds(),
                  {{"model", model}, {"cache", CacheClass(answer.usage)}});
}

}  // namespace lectern::frontend
