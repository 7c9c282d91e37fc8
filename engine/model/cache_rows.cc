// This step's rows of the paged cache.

#include "engine/base/status.h"
#include "engine/model/layer.h"

namespace lectern::model {
namespace {

constexpr float kKeyNormEps = 1e-6F;  // of the indexer's key norm, whatever rms_norm_eps says

}  // namespace

absl::Status WriteCacheRows(const LayerContext& context, const LayerWeights& weights,
                            LayerPages pages, StepState* state) {
  const config::ModelConfig& config = context.config;
  const int64_t latent = config.kv_lora_rank + config.qk_rope_head_dim;
  RETURN_IF_ERROR(kernels::LatentWrite({.kv = state->input_proj.columns(config.q_lora_rank, latent),
                                        .weight = weights.kv_norm,
                                        .eps = context.latent_norm_eps,
                                        .cos = state->cos,
                                        .sin = state->sin,
                                        .batch = state->batch,
                                        .pages = pages.latent},
                                       context.stream));
  if (!weights.full) return absl::OkStatus();
  // Also where no score is computed: later steps read these keys.
  return kernels::IndexKeyWrite(
      {.key = state->input_proj.columns(config.q_lora_rank + latent, config.index_head_dim),
       .weight = weights.indexer.k_norm_weight,
       .bias = weights.indexer.k_norm_bias,
       .eps = kKeyNormEps,
       .interleaved = config.indexer_rope_interleaved,
       .cos = state->cos,
       .sin = state->sin,
       .batch = state->batch,
       .pages = pages.index},
      context.stream);
}

}  // namespace lectern::model
