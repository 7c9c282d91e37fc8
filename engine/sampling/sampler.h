#pragma once
// The next token from one row of logits.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/sampling/sampling_params.h"

namespace lectern::sampling {

struct TokenLogprob {
  int32_t token_id = 0;
  float logprob = 0.0F;
};

// Log-probabilities are those of the model: log-softmax of the row as it came, before any penalty
// or temperature, computed in double.
struct SampledToken {
  int32_t token_id = 0;
  std::optional<float> logprob;  // with SamplingParams::logprobs >= 0
  std::vector<TokenLogprob>
      top_logprobs;  // best first, lower id where equal; at most the vocabulary
};

// Holds scratch of the vocabulary's size, grown once and reused; results depend on the arguments
// alone. One thread at a time.
class Sampler {
 public:
  // logits [vocab_size] of the position before the new token; history: prompt and generated tokens,
  // read for the repetition penalty only; index: of the new token, 0-based among the generated
  // ones. InvalidArgument: `params` (as Validate), an empty row, a history token outside it, a
  // negative index. DataLoss: the row holds NaN or +infinity, or no finite value (weights or cache
  // are damaged).
  absl::StatusOr<SampledToken> Sample(std::span<const float> logits, const SamplingParams& params,
                                      std::span<const int32_t> history, int64_t index);

 private:
  struct Candidate {
    double logit = 0;   // penalised
    double weight = 0;  // exp((logit - max) / temperature)
    int32_t token_id = 0;
  };
  static bool Before(const Candidate& a, const Candidate& b);

  int32_t Choose(std::span<const float> logits, const SamplingParams& params,
                 std::span<const int32_t> history, int64_t index);
  void GatherCandidates(const SamplingParams& params);
  void KeepTopK(int top_k);
  void KeepTopP(double top_p);
  void AddLogprobs(std::span<const float> logits, int num_top, SampledToken& token);

  std::vector<double> penalised_;
  std::vector<Candidate> candidates_;
  std::vector<int32_t> order_;
};

// The same with scratch of its own, for callers that sample rarely.
absl::StatusOr<SampledToken> Sample(std::span<const float> logits, const SamplingParams& params,
                                    std::span<const int32_t> history, int64_t index);

}  // namespace lectern::sampling
