// Dense SwiGLU, or the mixture of experts: router, routed experts one after the other in ascending
// order (so that a token's sum does not depend on its batch mates), shared experts as one.

#include <algorithm>

#include "engine/base/status.h"
#include "engine/model/layer.h"

namespace lectern::model {
namespace {

using kernels::MatrixView;

// One routed expert on the tokens that chose it: residual += weight * expert(normed).
absl::Status RunExpert(const LayerContext& context, const MoeWeights& weights, int32_t expert,
                       StepState* state) {
  std::vector<std::pair<int64_t, float>> chosen;  // token, weight
  for (int64_t t = 0; t < state->num_tokens; ++t) {
    for (int64_t i = 0; i < state->experts.cols; ++i) {
      if (state->experts.row(t)[i] == expert) {
        chosen.emplace_back(t, state->expert_weights.row(t)[i]);
      }
    }
  }
  if (chosen.empty()) return absl::OkStatus();
  const auto rows = static_cast<int64_t>(chosen.size());
  const MatrixView<float> in = state->expert_rows.first_rows(rows);
  const MatrixView<float> out = state->expert_out.first_rows(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const float* source = state->normed.row(chosen[static_cast<size_t>(r)].first);
    std::copy(source, source + in.cols, in.row(r));
    std::fill(out.row(r), out.row(r) + out.cols, 0.0F);
  }
  const auto at = static_cast<size_t>(expert);
  RETURN_IF_ERROR(kernels::DenseMlp(
      {.x = in, .gate_up = &weights.gate_up[at], .down = &weights.down[at], .out = out},
      context.stream));
  for (int64_t r = 0; r < rows; ++r) {
    const auto [token, weight] = chosen[static_cast<size_t>(r)];
    float* residual = state->residual.row(token);
    for (int64_t i = 0; i < out.cols; ++i) residual[i] += weight * out.row(r)[i];
  }
  return absl::OkStatus();
}

absl::Status RunExperts(const LayerContext& context, const MoeWeights& weights, StepState* state) {
  const config::ModelConfig& config = context.config;
  RETURN_IF_ERROR(kernels::MatMul(
      {.x = state->normed, .weight = &weights.router, .bias = {}, .out = state->router},
      context.stream));
  RETURN_IF_ERROR(kernels::Route({.logits = state->router,
                                  .bias = weights.router_bias,
                                  .num_groups = config.n_group,
                                  .topk_group = config.topk_group,
                                  .topk = config.num_experts_per_tok,
                                  .normalize = config.norm_topk_prob,
                                  .scale = static_cast<float>(config.routed_scaling_factor),
                                  .experts = state->experts,
                                  .weights = state->expert_weights},
                                 context.stream));
  for (int32_t expert = 0; expert < config.n_routed_experts; ++expert) {
    RETURN_IF_ERROR(RunExpert(context, weights, expert, state));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunFeedForward(const LayerContext& context, const LayerWeights& weights,
                            StepState* state) {
  RETURN_IF_ERROR(kernels::RmsNorm({.x = state->residual,
                                    .weight = weights.post_norm,
                                    .eps = static_cast<float>(context.config.rms_norm_eps),
                                    .out = state->normed},
                                   context.stream));
  if (weights.moe) RETURN_IF_ERROR(RunExperts(context, weights.experts, state));
  if (weights.moe && !weights.experts.has_shared) return absl::OkStatus();
  return kernels::DenseMlp({.x = state->normed,
                            .gate_up = &weights.gate_up,
                            .down = &weights.down,
                            .out = state->residual},
                           context.stream);
}

}  // namespace lectern::model
