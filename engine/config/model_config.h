#pragma once
// What a checkpoint says of itself: config.json and generation_config.json as plain structs,
// validated once. One type serves glm_moe_dsa, deepseek_v32 and glm4_moe_lite with grafted
// indexers.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/index_cache_policy.h"

namespace lectern::config {

enum class ModelType { kGlmMoeDsa, kDeepseekV32, kGlm4MoeLite };

// YaRN as in transformers' rope_parameters, or the old rope_scaling + rope_theta form.
struct YarnConfig {
  double factor = 1.0;
  int64_t original_max_position_embeddings = 0;
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
  std::optional<double> attention_factor;
};

struct ModelConfig {
  ModelType model_type = ModelType::kGlmMoeDsa;
  int num_hidden_layers = 0;
  int hidden_size = 0;
  int num_attention_heads = 0;
  int q_lora_rank = 0;
  int kv_lora_rank = 0;
  int qk_nope_head_dim = 0;
  int qk_rope_head_dim = 0;
  int v_head_dim = 0;
  int index_n_heads = 0;
  int index_head_dim = 0;
  int index_topk = 0;
  // Half-split pairs (j, j + d/2) in the indexer for deepseek_v32, interleaved (2j, 2j+1)
  // otherwise.
  bool indexer_rope_interleaved = true;
  int intermediate_size = 0;
  int moe_intermediate_size = 0;
  int n_routed_experts = 0;
  int n_shared_experts = 0;
  int num_experts_per_tok = 0;
  int n_group = 1;
  int topk_group = 1;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1.0;
  std::vector<bool> moe_layers;  // [num_hidden_layers] true where the FFN is MoE
  double rms_norm_eps = 1e-6;
  double rope_theta = 1e4;
  std::optional<YarnConfig> yarn;
  int64_t max_position_embeddings = 0;
  int vocab_size = 0;
  bool tie_word_embeddings = false;
  bool attention_bias = false;
  std::vector<int32_t> eos_token_ids;  // generation_config.json's where it has them
  // What the file says of IndexCache; MakeIndexCachePolicy turns it into a schedule.
  IndexCacheFields index_cache;
};

// Parses config.json's text (and generation_config.json's, may be empty).
// InvalidArgument names the field: missing, of the wrong type, out of range, or contradictory.
// Unimplemented: a model_type or rope type this engine does not run.
absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view config_json,
                                             std::string_view generation_config_json);

// Reads both files of a checkpoint directory. NotFound where config.json is missing.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& directory);

}  // namespace lectern::config
