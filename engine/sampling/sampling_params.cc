#include "engine/sampling/sampling_params.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace lectern::sampling {
namespace {

absl::Status Refuse(const char* field, double value, const char* bounds) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, " is not ", bounds));
}

}  // namespace

// Comparisons are written so that NaN fails them.
absl::Status Validate(const SamplingParams& params) {
  if (!(params.temperature >= 0.0) || std::isinf(params.temperature)) {
    return Refuse("temperature", params.temperature, "a finite number of at least 0");
  }
  if (!(params.top_p > 0.0 && params.top_p <= 1.0))
    return Refuse("top_p", params.top_p, "in (0, 1]");
  if (params.top_k < 0) return Refuse("top_k", params.top_k, "at least 0");
  if (!(params.min_p >= 0.0 && params.min_p < 1.0))
    return Refuse("min_p", params.min_p, "in [0, 1)");
  if (!(params.repetition_penalty >= 1e-6 && params.repetition_penalty <= 1e6)) {
    return Refuse("repetition_penalty", params.repetition_penalty, "in [1e-6, 1e6]");
  }
  if (params.logprobs < -1 || params.logprobs > kMaxLogprobs) {
    return absl::InvalidArgumentError(
        absl::StrCat("logprobs: ", params.logprobs, " is not in -1..", kMaxLogprobs));
  }
  return absl::OkStatus();
}

}  // namespace lectern::sampling
