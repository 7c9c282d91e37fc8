// Multi-head latent attention in its absorbed form: keys and values stay latent in the cache.
//   q = q_b(norm(q_a(h)));  score = scale * ((W_UK^T q_nope) . z + q_pe . k_pe);  out = W_UV (sum p
//   z)
// Source: DeepSeek-V2 report, section 2.1; DeepSeek-V3.2 report for the sparse choice.

#include "engine/base/status.h"
#include "engine/model/layer.h"

namespace lectern::model {

using kernels::MatrixView;

absl::Status ProjectInput(const LayerContext& context, const LayerWeights& weights,
                          StepState* state) {
  const config::ModelConfig& config = context.config;
  RETURN_IF_ERROR(kernels::RmsNorm({.x = state->residual,
                                    .weight = weights.input_norm,
                                    .eps = static_cast<float>(config.rms_norm_eps),
                                    .out = state->normed},
                                   context.stream));
  RETURN_IF_ERROR(kernels::MatMul({.x = state->normed,
                                   .weight = &weights.input_proj,
                                   .bias = weights.input_bias,
                                   .out = state->input_proj.columns(0, weights.input_proj.n())},
                                  context.stream));
  RETURN_IF_ERROR(kernels::RmsNorm({.x = state->input_proj.columns(0, config.q_lora_rank),
                                    .weight = weights.q_norm,
                                    .eps = context.latent_norm_eps,
                                    .out = state->q_latent},
                                   context.stream));
  return kernels::MatMul({.x = state->q_latent,
                          .weight = &weights.q_proj,
                          .bias = {},
                          .out = state->q_proj.columns(0, weights.q_proj.n())},
                         context.stream);
}

namespace {

// q_absorbed: per head W_UK^T q_nope, then the rotated q_pe, laid out as a cache row is.
absl::Status AbsorbQuery(const LayerContext& context, const LayerWeights& weights,
                         StepState* state) {
  const config::ModelConfig& config = context.config;
  const int64_t nope = config.qk_nope_head_dim;
  const int64_t rope = config.qk_rope_head_dim;
  const int64_t heads = config.num_attention_heads;
  const int64_t row = config.kv_lora_rank + rope;
  const MatrixView<float> q = state->q_proj.columns(0, heads * (nope + rope));
  RETURN_IF_ERROR(kernels::HeadMatMul({.x = q,
                                       .x_head_stride = nope + rope,
                                       .weights = weights.absorb,
                                       .out = state->q_absorbed,
                                       .out_head_stride = row},
                                      context.stream));
  return kernels::Rope(
      {.x = q.columns(nope, q.cols - nope),
       .x_head_stride = nope + rope,
       .out = state->q_absorbed.columns(config.kv_lora_rank, heads * row - config.kv_lora_rank),
       .out_head_stride = row,
       .num_heads = heads,
       .dims = rope,
       .interleaved = true,
       .cos = state->cos,
       .sin = state->sin},
      context.stream);
}

}  // namespace

absl::Status RunAttention(const LayerContext& context, const LayerWeights& weights,
                          LayerPages pages, StepState* state) {
  const config::ModelConfig& config = context.config;
  const int64_t heads = config.num_attention_heads;
  RETURN_IF_ERROR(AbsorbQuery(context, weights, state));
  RETURN_IF_ERROR(kernels::SparseAttention({.q = state->q_absorbed,
                                            .num_heads = heads,
                                            .rank = config.kv_lora_rank,
                                            .scale = context.softmax_scale,
                                            .batch = state->batch,
                                            .pages = pages.latent,
                                            .indices = state->indices,
                                            .counts = state->counts,
                                            .out = state->attended},
                                           context.stream));
  RETURN_IF_ERROR(kernels::HeadMatMul({.x = state->attended,
                                       .x_head_stride = config.kv_lora_rank,
                                       .weights = weights.value_up,
                                       .out = state->values,
                                       .out_head_stride = config.v_head_dim},
                                      context.stream));
  return kernels::MatMul({.x = state->values,
                          .weight = &weights.o_proj,
                          .bias = weights.o_bias,
                          .accumulate = true,
                          .out = state->residual},
                         context.stream);
}

}  // namespace lectern::model
