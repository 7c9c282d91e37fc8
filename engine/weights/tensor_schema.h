#pragma once
// The tensors that a model of this family is made of: names and shapes by config and schedule. The
// one list that verify walks; the model asks for the same names.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/index_cache_policy.h"
#include "engine/config/model_config.h"
#include "engine/weights/checkpoint.h"

namespace lectern::weights {

struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;  // [out, in] for matrices
};

std::string LayerPrefix(int layer);        // "model.layers.3."
std::string IndexerMarkerName(int layer);  // the tensor whose presence means an indexer
std::string FusedGateUpName(int layer);    // [E, 2I, H]
std::string FusedDownName(int layer);      // [E, H, I]
std::string ExpertName(int layer, int expert, ExpertMatrix matrix);

// Every tensor the model asks for, in the order of the forward pass. Shared layers have no indexer,
// tied models no lm_head. `fused_experts(layer)` chooses between the two ways of storing a layer's
// experts.
std::vector<TensorSpec> ModelTensors(const config::ModelConfig& config,
                                     const config::IndexCachePolicy& policy,
                                     const std::function<bool(int layer)>& fused_experts);

}  // namespace lectern::weights
