#include "engine/model/step_state.h"

#include <algorithm>

namespace lectern::model {
namespace {

struct Widths {
  int64_t hidden, input_proj, q_proj, latent_heads, absorbed, values, experts, chosen;
};

Widths WidthsOf(const config::ModelConfig& config) {
  const int64_t heads = config.num_attention_heads;
  return {
      .hidden = config.hidden_size,
      .input_proj = int64_t{config.q_lora_rank} + config.kv_lora_rank + config.qk_rope_head_dim +
                    config.index_head_dim,
      .q_proj = heads * (config.qk_nope_head_dim + config.qk_rope_head_dim) +
                int64_t{config.index_n_heads} * config.index_head_dim,
      .latent_heads = heads * config.kv_lora_rank,
      .absorbed = heads * (config.kv_lora_rank + config.qk_rope_head_dim),
      .values = heads * config.v_head_dim,
      .experts = config.n_routed_experts,
      .chosen = config.num_experts_per_tok,
  };
}

}  // namespace

StepBuffers::StepBuffers(const config::ModelConfig& config, int64_t max_tokens)
    : config_(&config), max_tokens_(max_tokens) {
  const Widths width = WidthsOf(config);
  const auto floats = [&](int64_t columns) {
    return kernels::AlignedBuffer<float>(max_tokens * columns);
  };
  const auto ints = [&](int64_t columns) {
    return kernels::AlignedBuffer<int32_t>(max_tokens * columns);
  };
  residual_ = floats(width.hidden);
  normed_ = floats(width.hidden);
  input_proj_ = floats(width.input_proj);
  q_latent_ = floats(config.q_lora_rank);
  q_proj_ = floats(width.q_proj);
  head_weights_ = floats(config.index_n_heads);
  q_absorbed_ = floats(width.absorbed);
  attended_ = floats(width.latent_heads);
  values_ = floats(width.values);
  cos_ = floats(config.qk_rope_head_dim / 2);
  sin_ = floats(config.qk_rope_head_dim / 2);
  positions_ = ints(1);
  sequences_ = ints(1);
  indices_ = ints(config.index_topk);
  counts_ = ints(1);
  bool moe = false;
  for (const bool layer : config.moe_layers) moe = moe || layer;
  if (!moe) return;
  router_ = floats(width.experts);
  experts_ = ints(width.chosen);
  expert_weights_ = floats(width.chosen);
  expert_rows_ = floats(width.hidden);
  expert_out_ = floats(width.hidden);
}

StepState::StepState(StepBuffers& buffers, int64_t tokens) : num_tokens(tokens) {
  const config::ModelConfig& config = *buffers.config_;
  const Widths width = WidthsOf(config);
  const auto view = [&](const auto& buffer, int64_t columns) {
    return kernels::MatrixView{buffer.data(), tokens, columns, columns};
  };
  residual = view(buffers.residual_, width.hidden);
  normed = view(buffers.normed_, width.hidden);
  input_proj = view(buffers.input_proj_, width.input_proj);
  q_latent = view(buffers.q_latent_, config.q_lora_rank);
  q_proj = view(buffers.q_proj_, width.q_proj);
  head_weights = view(buffers.head_weights_, config.index_n_heads);
  q_absorbed = view(buffers.q_absorbed_, width.absorbed);
  attended = view(buffers.attended_, width.latent_heads);
  values = view(buffers.values_, width.values);
  cos = view(buffers.cos_, config.qk_rope_head_dim / 2);
  sin = view(buffers.sin_, config.qk_rope_head_dim / 2);
  router = view(buffers.router_, width.experts);
  experts = view(buffers.experts_, width.chosen);
  expert_weights = view(buffers.expert_weights_, width.chosen);
  expert_rows = view(buffers.expert_rows_, width.hidden);
  expert_out = view(buffers.expert_out_, width.hidden);
  positions = {buffers.positions_.data(), static_cast<size_t>(tokens)};
  sequences = {buffers.sequences_.data(), static_cast<size_t>(tokens)};
  indices = view(buffers.indices_, config.index_topk);
  counts = {buffers.counts_.data(), static_cast<size_t>(tokens)};
}

void StepState::KeepRows(std::span<const int32_t> rows) {
  const auto kept = static_cast<int64_t>(rows.size());
  if (kept == num_tokens) return;
  num_tokens = kept;
  // Rows ascend, so that none is overwritten before it has moved.
  const auto move = [&](auto& matrix) {
    for (int64_t i = 0; i < kept; ++i) {
      const auto* source = matrix.row(rows[static_cast<size_t>(i)]);
      if (source != matrix.row(i)) std::copy(source, source + matrix.cols, matrix.row(i));
    }
    matrix.rows = kept;
  };
  move(residual);
  move(normed);
  move(q_proj);
  move(cos);
  move(sin);
  move(indices);
  for (auto* matrix : {&input_proj, &q_latent, &head_weights, &q_absorbed, &attended, &values,
                       &router, &expert_weights, &expert_rows, &expert_out}) {
    matrix->rows = kept;
  }
  experts.rows = kept;
  for (auto* array : {&positions, &sequences, &counts}) {
    for (size_t i = 0; i < rows.size(); ++i) (*array)[i] = (*array)[static_cast<size_t>(rows[i])];
    *array = array->first(rows.size());
  }
  batch.positions = positions;
  batch.sequences = sequences;
}

}  // namespace lectern::model
