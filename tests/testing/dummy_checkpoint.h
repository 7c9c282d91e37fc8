#pragma once
// Checkpoints with random weights, for tests and benches that need a model but no sense.

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace lectern::testing {

// Shape of a glm_moe_dsa model. The defaults make one of about 250 KB whose selections differ from
// token to token once a sequence is longer than index_topk.
struct DummyModel {
  std::string index_topk_pattern = "FSFS";
  int num_hidden_layers = 4;
  int hidden_size = 64;
  int num_attention_heads = 4;
  int q_lora_rank = 32;
  int kv_lora_rank = 32;
  int qk_nope_head_dim = 16;
  int qk_rope_head_dim = 16;
  int v_head_dim = 16;
  int index_n_heads = 4;
  int index_head_dim = 32;
  int index_topk = 16;
  int intermediate_size = 128;
  int first_k_dense_replace = 4;  // layers from here on are MoE
  int moe_intermediate_size = 16;
  int n_routed_experts = 8;
  int num_experts_per_tok = 2;
  int n_shared_experts = 1;
  int vocab_size = 256;
  int max_position_embeddings = 131072;
  int eos_token_id = 1;
};

// The shape of the default model (lectern-small): 17.7 M parameters, 35 MB in bf16.
DummyModel DefaultModelShape();

// Writes config.json, generation_config.json and model.safetensors (bfloat16) into `directory`,
// which is made. Values depend on seed and tensor name alone. Activations stay of order one.
absl::Status MakeDummyCheckpoint(const std::string& directory, const DummyModel& model,
                                 uint64_t seed);

}  // namespace lectern::testing
