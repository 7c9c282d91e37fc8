#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace lectern::sampling {

// How the next token is chosen. Applied in this order: repetition penalty, temperature, top-k,
// min-p, top-p, draw. temperature 0 is greedy: the highest logit, the lower id where equal.
struct SamplingParams {
  double temperature = 0.0;         // >= 0
  double top_p = 1.0;               // (0, 1]
  int top_k = 0;                    // 0: off
  double min_p = 0.0;               // [0, 1)
  double repetition_penalty = 1.0;  // > 0; over prompt and generated tokens, as in transformers
  uint64_t seed = 0;                // the draw for token i depends on (seed, i) alone
  int logprobs = -1;                // -1: none; n >= 0: the chosen token's and the n best
};

// Best tokens that one event may carry: an answer's log-probabilities must not outweigh the answer.
inline constexpr int kMaxLogprobs = 100;

// InvalidArgument names the field and its bounds. Repetition penalties lie within [1e-6, 1e6], so
// that no penalised logit overflows.
absl::Status Validate(const SamplingParams& params);

}  // namespace lectern::sampling
