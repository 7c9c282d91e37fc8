#pragma once
// The parts of one decoder layer, in the order forward.cc calls them.

#include "absl/status/status.h"
#include "engine/config/model_config.h"
#include "engine/model/model_weights.h"
#include "engine/model/step_state.h"
#include "kernels/stream.h"

namespace lectern::model {

// What does not change from step to step.
struct LayerContext {
  const config::ModelConfig& config;
  kernels::Stream& stream;
  float latent_norm_eps;
  float softmax_scale;
};

// A layer's part of every page.
struct LayerPages {
  kernels::PagedSegment latent;
  kernels::PagedSegment index;  // Full layers only
};

// residual -> normed, input_proj, q_latent, q_proj: every projection that reads the layer's input.
absl::Status ProjectInput(const LayerContext& context, const LayerWeights& weights,
                          StepState* state);

// Writes this step's cache rows: latents, and in Full layers indexer keys. Everything later reads
// them from the pages.
absl::Status WriteCacheRows(const LayerContext& context, const LayerWeights& weights,
                            LayerPages pages, StepState* state);

// Full layers: replaces state->indices and counts by this layer's choice. Shared layers do not call
// it and so reuse the nearest Full layer's before them.
absl::Status RunIndexer(const LayerContext& context, const LayerWeights& weights, LayerPages pages,
                        StepState* state);

// Attends over the chosen rows and adds the output to the residual.
absl::Status RunAttention(const LayerContext& context, const LayerWeights& weights,
                          LayerPages pages, StepState* state);

// Post-attention norm and dense feed-forward or mixture of experts, added to the residual.
absl::Status RunFeedForward(const LayerContext& context, const LayerWeights& weights,
                            StepState* state);

}  // namespace lectern::model
