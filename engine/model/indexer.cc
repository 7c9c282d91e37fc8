// Lightning indexer of a Full layer. Queries come from the normed q latent, keys and head weights
// from the normed hidden state; RoPE covers the first dims of an index head (the last in
// attention). Source: DeepSeek-V3.2 report; IndexCache (arXiv 2603.12201) for which layers run it.

#include "engine/base/status.h"
#include "engine/model/layer.h"

namespace lectern::model {

absl::Status RunIndexer(const LayerContext& context, const LayerWeights& weights, LayerPages pages,
                        StepState* state) {
  const config::ModelConfig& config = context.config;
  const int64_t dim = config.index_head_dim;
  const int64_t heads = config.index_n_heads;
  const int64_t attention_q =
      int64_t{config.num_attention_heads} * (config.qk_nope_head_dim + config.qk_rope_head_dim);
  const kernels::MatrixView<float> q = state->q_proj.columns(attention_q, heads * dim);
  RETURN_IF_ERROR(kernels::Rope({.x = q,
                                 .x_head_stride = dim,
                                 .out = q,
                                 .out_head_stride = dim,
                                 .num_heads = heads,
                                 .dims = config.qk_rope_head_dim,
                                 .interleaved = config.indexer_rope_interleaved,
                                 .cos = state->cos,
                                 .sin = state->sin},
                                context.stream));
  RETURN_IF_ERROR(kernels::MatMul({.x = state->normed,
                                   .weight = &weights.indexer.head_weights,
                                   .bias = {},
                                   .out = state->head_weights},
                                  context.stream));
  return kernels::IndexerTopk({.q = q,
                               .weights = state->head_weights,
                               .batch = state->batch,
                               .pages = pages.index,
                               .topk = config.index_topk,
                               .indices = state->indices,
                               .counts = state->counts},
                              context.stream);
}

}  // namespace lectern::model
