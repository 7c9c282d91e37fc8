#include "engine/weights/tensor_schema.h"

#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lectern::weights {
namespace {

using config::ModelConfig;

class SpecList {
 public:
  SpecList(const ModelConfig& config, std::vector<TensorSpec>& specs)
      : config_(config), specs_(specs) {}

  void SetPrefix(std::string prefix) { prefix_ = std::move(prefix); }
  void Add(const char* name, std::initializer_list<int64_t> shape) {
    specs_.push_back({prefix_ + name, shape});
  }
  void AddAttention();
  void AddIndexer();
  void AddDenseFeedForward();
  void AddRouterAndSharedExperts();
  void AddExperts(int layer, bool fused);

 private:
  const ModelConfig& config_;
  std::vector<TensorSpec>& specs_;
  std::string prefix_;
};

void SpecList::AddAttention() {
  const int64_t hidden = config_.hidden_size;
  const int64_t heads = config_.num_attention_heads;
  const int64_t nope = config_.qk_nope_head_dim;
  const int64_t rope = config_.qk_rope_head_dim;
  const int64_t value = config_.v_head_dim;
  const int64_t q_rank = config_.q_lora_rank;
  const int64_t kv_rank = config_.kv_lora_rank;
  Add("self_attn.q_a_proj.weight", {q_rank, hidden});
  Add("self_attn.q_a_layernorm.weight", {q_rank});
  Add("self_attn.q_b_proj.weight", {heads * (nope + rope), q_rank});
  Add("self_attn.kv_a_proj_with_mqa.weight", {kv_rank + rope, hidden});
  Add("self_attn.kv_a_layernorm.weight", {kv_rank});
  Add("self_attn.kv_b_proj.weight", {heads * (nope + value), kv_rank});
  Add("self_attn.o_proj.weight", {hidden, heads * value});
  if (!config_.attention_bias) return;
  Add("self_attn.q_a_proj.bias", {q_rank});
  Add("self_attn.kv_a_proj_with_mqa.bias", {kv_rank + rope});
  Add("self_attn.o_proj.bias", {hidden});
}

void SpecList::AddIndexer() {
  const int64_t heads = config_.index_n_heads;
  const int64_t head_dim = config_.index_head_dim;
  Add("self_attn.indexer.wq_b.weight", {heads * head_dim, config_.q_lora_rank});
  Add("self_attn.indexer.wk.weight", {head_dim, config_.hidden_size});
  Add("self_attn.indexer.k_norm.weight", {head_dim});
  Add("self_attn.indexer.k_norm.bias", {head_dim});
  Add("self_attn.indexer.weights_proj.weight", {heads, config_.hidden_size});
}

void SpecList::AddDenseFeedForward() {
  const int64_t hidden = config_.hidden_size;
  const int64_t width = config_.intermediate_size;
  Add("mlp.gate_proj.weight", {width, hidden});
  Add("mlp.up_proj.weight", {width, hidden});
  Add("mlp.down_proj.weight", {hidden, width});
}

void SpecList::AddRouterAndSharedExperts() {
  const int64_t hidden = config_.hidden_size;
  Add("mlp.gate.weight", {config_.n_routed_experts, hidden});
  Add("mlp.gate.e_score_correction_bias", {config_.n_routed_experts});
  if (config_.n_shared_experts == 0) return;
  const int64_t width = int64_t{config_.n_shared_experts} * config_.moe_intermediate_size;
  Add("mlp.shared_experts.gate_proj.weight", {width, hidden});
  Add("mlp.shared_experts.up_proj.weight", {width, hidden});
  Add("mlp.shared_experts.down_proj.weight", {hidden, width});
}

void SpecList::AddExperts(int layer, bool fused) {
  const int64_t hidden = config_.hidden_size;
  const int64_t width = config_.moe_intermediate_size;
  const int64_t experts = config_.n_routed_experts;
  if (fused) {
    specs_.push_back({FusedGateUpName(layer), {experts, 2 * width, hidden}});
    specs_.push_back({FusedDownName(layer), {experts, hidden, width}});
    return;
  }
  for (int expert = 0; expert < config_.n_routed_experts; ++expert) {
    specs_.push_back({ExpertName(layer, expert, ExpertMatrix::kGate), {width, hidden}});
    specs_.push_back({ExpertName(layer, expert, ExpertMatrix::kUp), {width, hidden}});
    specs_.push_back({ExpertName(layer, expert, ExpertMatrix::kDown), {hidden, width}});
  }
}

}  // namespace

std::string LayerPrefix(int layer) { return absl::StrCat("model.layers.", layer, "."); }

std::string IndexerMarkerName(int layer) {
  return LayerPrefix(layer) + "self_attn.indexer.wq_b.weight";
}

std::string FusedGateUpName(int layer) { return LayerPrefix(layer) + "mlp.experts.gate_up_proj"; }

std::string FusedDownName(int layer) { return LayerPrefix(layer) + "mlp.experts.down_proj"; }

std::string ExpertName(int layer, int expert, ExpertMatrix matrix) {
  const char* const part = matrix == ExpertMatrix::kGate ? "gate_proj"
                           : matrix == ExpertMatrix::kUp ? "up_proj"
                                                         : "down_proj";
  return absl::StrCat(LayerPrefix(layer), "mlp.experts.", expert, ".", part, ".weight");
}

std::vector<TensorSpec> ModelTensors(const ModelConfig& config,
                                     const config::IndexCachePolicy& policy,
                                     const std::function<bool(int layer)>& fused_experts) {
  std::vector<TensorSpec> specs;
  SpecList list(config, specs);
  list.Add("model.embed_tokens.weight", {config.vocab_size, config.hidden_size});
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    const auto index = static_cast<size_t>(layer);
    list.SetPrefix(LayerPrefix(layer));
    list.Add("input_layernorm.weight", {config.hidden_size});
    list.AddAttention();
    if (policy.full[index]) list.AddIndexer();
    list.Add("post_attention_layernorm.weight", {config.hidden_size});
    if (config.moe_layers[index]) {
      list.AddRouterAndSharedExperts();
      list.AddExperts(layer, fused_experts(layer));
    } else {
      list.AddDenseFeedForward();
    }
  }
  list.SetPrefix("");
  list.Add("model.norm.weight", {config.hidden_size});
  if (!config.tie_word_embeddings) {
    list.Add("lm_head.weight", {config.vocab_size, config.hidden_size});
  }
  return specs;
}

}  // namespace lectern::weights
