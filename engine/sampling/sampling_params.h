#pragma once

#include <cstdint>

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

}  // namespace lectern::sampling
