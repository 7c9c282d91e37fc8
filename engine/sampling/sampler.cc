#include "engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"
#include "engine/sampling/philox.h"

namespace lectern::sampling {
namespace {

// The first pass has no branch, so that it runs at the speed of memory on every token of every
// request.
absl::Status CheckRow(std::span<const float> logits) {
  if (logits.empty()) return absl::InvalidArgumentError("logits: the row is empty");
  unsigned any_bad = 0;
  unsigned any_finite = 0;
  for (const float logit : logits) {
    const bool bad = !(logit <= std::numeric_limits<float>::max());  // NaN too
    any_bad |= static_cast<unsigned>(bad);
    any_finite |= static_cast<unsigned>(logit >= std::numeric_limits<float>::lowest());
  }
  if (any_bad != 0) {
    const auto found = std::find_if(logits.begin(), logits.end(), [](float logit) {
      return !(logit <= std::numeric_limits<float>::max());
    });
    return absl::DataLossError(
        absl::StrCat("logits: ", *found, " for token ", found - logits.begin()));
  }
  if (any_finite == 0) return absl::DataLossError("logits: no token has a finite value");
  return absl::OkStatus();
}

absl::Status CheckHistory(std::span<const int32_t> history, size_t vocab_size) {
  for (const int32_t token : history) {
    if (token < 0 || static_cast<size_t>(token) >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("history: token ", token, " is outside the vocabulary of ", vocab_size));
    }
  }
  return absl::OkStatus();
}

// The first of the greatest: std::max_element keeps the earlier one where equal.
template <typename Logit>
int32_t ArgMax(std::span<const Logit> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

bool Sampler::Before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token_id < b.token_id;
}

absl::StatusOr<SampledToken> Sampler::Sample(std::span<const float> logits,
                                             const SamplingParams& params,
                                             std::span<const int32_t> history, int64_t index) {
  RETURN_IF_ERROR(Validate(params));
  RETURN_IF_ERROR(CheckRow(logits));
  if (index < 0) return absl::InvalidArgumentError(absl::StrCat("index: ", index, " is negative"));
  if (params.repetition_penalty != 1.0) RETURN_IF_ERROR(CheckHistory(history, logits.size()));
  SampledToken token;
  token.token_id = Choose(logits, params, history, index);
  if (params.logprobs >= 0) AddLogprobs(logits, params.logprobs, token);
  return token;
}

int32_t Sampler::Choose(std::span<const float> logits, const SamplingParams& params,
                        std::span<const int32_t> history, int64_t index) {
  const bool greedy = params.temperature == 0.0;
  if (greedy && params.repetition_penalty == 1.0) return ArgMax(logits);
  penalised_.assign(logits.begin(), logits.end());
  if (params.repetition_penalty != 1.0) {
    for (const int32_t token : history) {
      // From the row as it came: a token that occurs often is penalised once.
      const double logit = logits[static_cast<size_t>(token)];
      penalised_[static_cast<size_t>(token)] =
          logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    }
  }
  if (greedy) return ArgMax(std::span<const double>(penalised_));

  GatherCandidates(params);
  if (params.top_k > 0) KeepTopK(params.top_k);
  if (params.top_p < 1.0) KeepTopP(params.top_p);
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  const double target = UniformDraw(params.seed, static_cast<uint64_t>(index)) * total;
  double reached = 0;
  for (const Candidate& candidate : candidates_) {
    reached += candidate.weight;
    if (reached > target) return candidate.token_id;
  }
  return candidates_.back().token_id;  // target rounded up to the total
}

// Min-p is a threshold relative to the best token, which top-k never removes: the two commute, and
// a threshold first leaves top-k less to order. Candidates stand in the order of ids.
void Sampler::GatherCandidates(const SamplingParams& params) {
  const double best = *std::max_element(penalised_.begin(), penalised_.end());
  candidates_.clear();
  for (size_t id = 0; id < penalised_.size(); ++id) {
    const double weight = std::exp((penalised_[id] - best) / params.temperature);
    if (weight > 0 && weight >= params.min_p) {
      candidates_.push_back({penalised_[id], weight, static_cast<int32_t>(id)});
    }
  }
  LECTERN_CHECK(!candidates_.empty());  // the best one's weight is 1
}

// Sorted, since the draw walks the candidates in order and must not depend on how a library
// selects.
void Sampler::KeepTopK(int top_k) {
  const size_t kept = std::min(static_cast<size_t>(top_k), candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(kept),
                    candidates_.end(), Before);
  candidates_.resize(kept);
}

// The fewest best tokens that together reach top_p of what is left. Sorts in growing pieces: with a
// vocabulary of 150,000 the set rarely exceeds the first.
void Sampler::KeepTopP(double top_p) {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  double reached = 0;
  size_t sorted = 0;
  for (size_t kept = 0; kept < candidates_.size(); ++kept) {
    if (kept == sorted) {
      sorted = std::min(candidates_.size(), std::max<size_t>(256, 4 * sorted));
      std::partial_sort(candidates_.begin() + static_cast<ptrdiff_t>(kept),
                        candidates_.begin() + static_cast<ptrdiff_t>(sorted), candidates_.end(),
                        Before);
    }
    reached += candidates_[kept].weight;
    if (reached >= top_p * total) {
      candidates_.resize(kept + 1);
      return;
    }
  }
}

void Sampler::AddLogprobs(std::span<const float> logits, int num_top, SampledToken& token) {
  const double best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - best);
  const double log_sum = best + std::log(sum);
  const auto logprob = [&](int32_t id) {
    return static_cast<float>(logits[static_cast<size_t>(id)] - log_sum);
  };
  token.logprob = logprob(token.token_id);
  if (num_top == 0) return;

  const size_t wanted = std::min(static_cast<size_t>(num_top), logits.size());
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto before = [logits](int32_t a, int32_t b) {
    const float logit_a = logits[static_cast<size_t>(a)];
    const float logit_b = logits[static_cast<size_t>(b)];
    return logit_a != logit_b ? logit_a > logit_b : a < b;
  };
  std::partial_sort(order_.begin(), order_.begin() + static_cast<ptrdiff_t>(wanted), order_.end(),
                    before);
  token.top_logprobs.reserve(wanted);
  for (size_t i = 0; i < wanted; ++i) token.top_logprobs.push_back({order_[i], logprob(order_[i])});
}

absl::StatusOr<SampledToken> Sample(std::span<const float> logits, const SamplingParams& params,
                                    std::span<const int32_t> history, int64_t index) {
  Sampler sampler;
  return sampler.Sample(logits, params, history, index);
}

}  // namespace lectern::sampling
