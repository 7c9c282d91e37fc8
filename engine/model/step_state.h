#pragma once
// What one step works on: the batch, the pages and the activations, carved once for
// max_batch_tokens.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache/kv_layout.h"
#include "engine/config/model_config.h"
#include "kernels/ops.h"

namespace lectern::model {

// Buffers for the largest step the options allow.
class StepBuffers {
 public:
  StepBuffers(const config::ModelConfig& config, int64_t max_tokens);

 private:
  friend struct StepState;
  const config::ModelConfig* config_;
  int64_t max_tokens_;
  kernels::AlignedBuffer<float> residual_, normed_, input_proj_, q_latent_, q_proj_, head_weights_,
      q_absorbed_, attended_, values_, cos_, sin_, router_, expert_weights_, expert_rows_,
      expert_out_;
  kernels::AlignedBuffer<int32_t> positions_, sequences_, indices_, counts_, experts_;
};

// Views of the first num_tokens rows. Valid while the StepBuffers and the caller's arrays live.
struct StepState {
  StepState(StepBuffers& buffers, int64_t tokens);

  // Goes on with these tokens alone (ascending): what later parts of the step read is moved to the
  // front.
  void KeepRows(std::span<const int32_t> rows);

  int64_t num_tokens;
  kernels::BatchView batch;
  cache::KvPagesView kv;
  kernels::MatrixView<float> residual;      // [tokens, hidden]
  kernels::MatrixView<float> normed;        // [tokens, hidden]
  kernels::MatrixView<float> input_proj;    // [tokens, q_lora + kv_lora + rope + index_head_dim]
  kernels::MatrixView<float> q_latent;      // [tokens, q_lora]
  kernels::MatrixView<float> q_proj;        // [tokens, heads * (nope + rope) + index heads * dim]
  kernels::MatrixView<float> head_weights;  // [tokens, index_n_heads]
  kernels::MatrixView<float> q_absorbed;    // [tokens, heads * (kv_lora + rope)]
  kernels::MatrixView<float> attended;      // [tokens, heads * kv_lora]
  kernels::MatrixView<float> values;        // [tokens, heads * v]
  kernels::MatrixView<float> cos, sin;      // [tokens, rope / 2]
  // MoE
  kernels::MatrixView<float> router;          // [tokens, experts]
  kernels::MatrixView<int32_t> experts;       // [tokens, experts per token]
  kernels::MatrixView<float> expert_weights;  // [tokens, experts per token]
  kernels::MatrixView<float> expert_rows;     // [tokens, hidden] gathered rows of one expert
  kernels::MatrixView<float> expert_out;      // [tokens, hidden]
  std::span<int32_t> positions;               // [tokens]
  std::span<int32_t> sequences;               // [tokens]
  // The current Full layer's choice, which Shared layers reuse.
  kernels::MatrixView<int32_t> indices;  // [tokens, index_topk]
  std::span<int32_t> counts;             // [tokens]
};

}  // namespace lectern::model
