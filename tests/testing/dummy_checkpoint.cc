#include "tests/testing/dummy_checkpoint.h"

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/config/model_config.h"
#include "engine/weights/safetensors_writer.h"
#include "engine/weights/tensor_schema.h"
#include "kernels/tensor.h"
#include "nlohmann/json.hpp"

namespace lectern::testing {
namespace {

std::string ConfigJson(const DummyModel& model) {
  const nlohmann::json config = {
      {"architectures", {"GlmMoeDsaForCausalLM"}},
      {"model_type", "glm_moe_dsa"},
      {"attention_bias", false},
      {"dtype", "bfloat16"},
      {"eos_token_id", model.eos_token_id},
      {"first_k_dense_replace", model.first_k_dense_replace},
      {"hidden_act", "silu"},
      {"hidden_size", model.hidden_size},
      {"index_head_dim", model.index_head_dim},
      {"index_n_heads", model.index_n_heads},
      {"index_topk", model.index_topk},
      {"index_topk_pattern", model.index_topk_pattern},
      {"intermediate_size", model.intermediate_size},
      {"kv_lora_rank", model.kv_lora_rank},
      {"max_position_embeddings", model.max_position_embeddings},
      {"moe_intermediate_size", model.moe_intermediate_size},
      {"n_group", 1},
      {"n_routed_experts", model.n_routed_experts},
      {"n_shared_experts", model.n_shared_experts},
      {"norm_topk_prob", true},
      {"num_attention_heads", model.num_attention_heads},
      {"num_experts_per_tok", model.num_experts_per_tok},
      {"num_hidden_layers", model.num_hidden_layers},
      {"num_key_value_heads", model.num_attention_heads},
      {"q_lora_rank", model.q_lora_rank},
      {"qk_nope_head_dim", model.qk_nope_head_dim},
      {"qk_rope_head_dim", model.qk_rope_head_dim},
      {"rms_norm_eps", 1e-6},
      {"rope_parameters", {{"rope_theta", 10000.0}, {"rope_type", "default"}}},
      {"routed_scaling_factor", 1.5},
      {"tie_word_embeddings", false},
      {"topk_group", 1},
      {"v_head_dim", model.v_head_dim},
      {"vocab_size", model.vocab_size},
  };
  return config.dump(2);
}

// splitmix64 (Steele, Lea and Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // Uniform of mean 0 and variance 1.
  double Unit() {
    return (static_cast<double>(Next() >> 11) * 0x1.0p-53 * 2.0 - 1.0) * 1.7320508075688772;
  }

 private:
  uint64_t state_;
};

uint64_t HashName(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

bool EndsWith(std::string_view text, std::string_view end) { return text.ends_with(end); }

// Mean and spread that keep activations of order one: matrices by their fan-in, what is added to
// the residual smaller, queries larger so that attention and choices are peaked.
struct Spread {
  double mean;
  double deviation;
};

Spread SpreadOf(std::string_view name, const std::vector<int64_t>& shape) {
  if (EndsWith(name, "norm.weight")) return {1.0, 0.1};
  if (EndsWith(name, "layernorm.weight")) return {1.0, 0.1};
  if (shape.size() == 1) return {0.0, 0.1};  // biases
  if (EndsWith(name, "embed_tokens.weight")) return {0.0, 1.0};
  const double fan_in = 1.0 / std::sqrt(static_cast<double>(shape.back()));
  if (EndsWith(name, "o_proj.weight") || EndsWith(name, "down_proj.weight")) {
    return {0.0, 0.5 * fan_in};
  }
  if (EndsWith(name, "q_b_proj.weight")) return {0.0, 3.0 * fan_in};
  if (EndsWith(name, "lm_head.weight")) return {0.0, 2.0 * fan_in};
  return {0.0, fan_in};
}

std::vector<kernels::Bf16> RandomTensor(const weights::TensorSpec& spec, uint64_t seed) {
  int64_t size = 1;
  for (const int64_t dimension : spec.shape) size *= dimension;
  const Spread spread = SpreadOf(spec.name, spec.shape);
  Random random(seed ^ HashName(spec.name));
  std::vector<kernels::Bf16> out(static_cast<size_t>(size));
  for (kernels::Bf16& value : out) {
    value = kernels::ToBf16(static_cast<float>(spread.mean + spread.deviation * random.Unit()));
  }
  return out;
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file.good() ? absl::OkStatus() : absl::UnavailableError("cannot write " + path);
}

}  // namespace

DummyModel DefaultModelShape() {
  DummyModel model;
  model.index_topk_pattern = "FSSSFSSSFSSS";
  model.num_hidden_layers = 12;
  model.hidden_size = 320;
  model.num_attention_heads = 6;
  model.q_lora_rank = 192;
  model.kv_lora_rank = 128;
  model.qk_nope_head_dim = 48;
  model.qk_rope_head_dim = 16;
  model.v_head_dim = 64;
  model.index_n_heads = 4;
  model.index_head_dim = 64;
  model.index_topk = 512;
  model.intermediate_size = 768;
  model.first_k_dense_replace = 12;
  model.vocab_size = 6144;
  return model;
}

absl::Status MakeDummyCheckpoint(const std::string& directory, const DummyModel& model,
                                 uint64_t seed) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return absl::UnavailableError("cannot make " + directory + ": " + error.message());
  const std::string text = ConfigJson(model);
  const nlohmann::json generation = {{"eos_token_id", model.eos_token_id}};
  ASSIGN_OR_RETURN(const config::ModelConfig config,
                   config::ParseModelConfig(text, generation.dump()));
  std::vector<std::string> warnings;
  ASSIGN_OR_RETURN(
      const config::IndexCachePolicy policy,
      config::MakeIndexCachePolicy(
          config.num_hidden_layers, config.index_cache, {},
          std::vector<bool>(static_cast<size_t>(config.num_hidden_layers), true), &warnings));

  const std::vector<weights::TensorSpec> specs =
      weights::ModelTensors(config, policy, [](int) { return false; });
  std::vector<std::vector<kernels::Bf16>> values;
  std::vector<weights::TensorToWrite> tensors;
  for (const weights::TensorSpec& spec : specs) values.push_back(RandomTensor(spec, seed));
  for (size_t i = 0; i < specs.size(); ++i) {
    tensors.push_back({.name = specs[i].name,
                       .dtype = weights::Dtype::kBf16,
                       .shape = specs[i].shape,
                       .data = std::as_bytes(std::span(values[i]))});
  }
  RETURN_IF_ERROR(weights::WriteSafetensors(directory + "/model.safetensors", std::move(tensors)));
  RETURN_IF_ERROR(WriteText(directory + "/generation_config.json", generation.dump(2)));
  return WriteText(directory + "/config.json", text);
}

}  // namespace lectern::testing
