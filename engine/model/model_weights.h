#pragma once
// A model's weights in the form the operators read, packed once at load.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/index_cache_policy.h"
#include "engine/config/model_config.h"
#include "engine/weights/checkpoint.h"
#include "kernels/packed_matrix.h"
#include "kernels/tensor.h"

namespace lectern::model {

// How matrices are kept. Norms, biases, the router and the indexer's head weights are float32
// always.
enum class WeightForm {
  kFloat32,
  kBf16,         // packed for vdpbf16ps
  kBf16Widened,  // rounded to bf16, kept as float32 for machines without bf16 products
};

struct IndexerWeights {
  std::vector<float> k_norm_weight;  // [index_head_dim]
  std::vector<float> k_norm_bias;
  // weights_proj times index_n_heads^-1/2 * index_head_dim^-1/2, float32
  kernels::PackedMatrix head_weights;  // [index_n_heads, hidden]
};

struct MoeWeights {
  kernels::PackedMatrix router;                // [experts, hidden], float32
  std::vector<float> router_bias;              // [experts]
  std::vector<kernels::PackedMatrix> gate_up;  // [experts] of [2 * moe_intermediate, hidden]
  std::vector<kernels::PackedMatrix> down;     // [experts] of [hidden, moe_intermediate]
  bool has_shared = false;
};

struct LayerWeights {
  std::vector<float> input_norm;  // [hidden]
  std::vector<float> q_norm;      // [q_lora_rank]
  std::vector<float> kv_norm;     // [kv_lora_rank]
  std::vector<float> post_norm;   // [hidden]
  // Everything that reads the normed hidden state: q_a, kv_a, and in Full layers the indexer's wk.
  kernels::PackedMatrix input_proj;  // [q_lora + kv_lora + rope (+ index_head_dim), hidden]
  std::vector<float> input_bias;     // empty, or as many
  // Everything that reads the normed q latent: q_b, and in Full layers the indexer's wq_b.
  kernels::PackedMatrix
      q_proj;  // [heads * (nope + rope) (+ index_n_heads * index_head_dim), q_lora]
  std::vector<kernels::PackedMatrix> absorb;    // [heads] of [kv_lora, nope]: W_UK transposed
  std::vector<kernels::PackedMatrix> value_up;  // [heads] of [v, kv_lora]: W_UV
  kernels::PackedMatrix o_proj;                 // [hidden, heads * v]
  std::vector<float> o_bias;                    // empty, or [hidden]
  bool full = false;
  IndexerWeights indexer;  // Full layers only
  bool moe = false;
  MoeWeights experts;             // MoE layers only
  kernels::PackedMatrix gate_up;  // dense layers, or the shared experts of a MoE layer
  kernels::PackedMatrix down;
};

struct ModelWeights {
  std::vector<float> embedding;  // [vocab, hidden]; empty where bf16_embedding is used
  std::vector<kernels::Bf16> bf16_embedding;
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;
  kernels::PackedMatrix lm_head;  // [vocab, hidden]
};

// Shared layers' indexers and layers past the last are never read. NotFound / InvalidArgument name
// the tensor.
absl::StatusOr<ModelWeights> LoadModelWeights(const weights::Checkpoint& checkpoint,
                                              const config::IndexCachePolicy& policy,
                                              WeightForm form);

}  // namespace lectern::model
