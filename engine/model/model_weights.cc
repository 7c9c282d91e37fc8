#include "engine/model/model_weights.h"

#include <cmath>
#include <string>
#include <utility>

#include "engine/base/status.h"

namespace lectern::model {
namespace {

using kernels::PackedMatrix;

// Rows of a stacked matrix before packing.
struct Rows {
  int64_t cols = 0;
  std::vector<float> values;

  int64_t rows() const { return static_cast<int64_t>(values.size()) / cols; }
  void Append(const std::vector<float>& more) {
    values.insert(values.end(), more.begin(), more.end());
  }
};

class Loader {
 public:
  Loader(const weights::Checkpoint& checkpoint, const config::IndexCachePolicy& policy,
         WeightForm form)
      : checkpoint_(checkpoint), config_(checkpoint.config()), policy_(policy), form_(form) {}

  absl::StatusOr<ModelWeights> Load() {
    ModelWeights out;
    const int64_t vocab = config_.vocab_size;
    const int64_t hidden = config_.hidden_size;
    Rows embedding{hidden, {}};
    RETURN_IF_ERROR(Read("model.embed_tokens.weight", {vocab, hidden}, &embedding.values));
    RETURN_IF_ERROR(Read("model.norm.weight", {hidden}, &out.final_norm));
    if (config_.tie_word_embeddings) {
      out.lm_head = Pack(embedding);
    } else {
      ASSIGN_OR_RETURN(out.lm_head, Matrix("lm_head.weight", vocab, hidden));
    }
    if (form_ == WeightForm::kFloat32) {
      out.embedding = std::move(embedding.values);
    } else {
      out.bf16_embedding.reserve(embedding.values.size());
      for (const float value : embedding.values) {
        out.bf16_embedding.push_back(kernels::ToBf16(value));
      }
    }
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      ASSIGN_OR_RETURN(LayerWeights weights, Layer(layer));
      out.layers.push_back(std::move(weights));
    }
    return out;
  }

 private:
  absl::Status Read(const std::string& name, std::vector<int64_t> shape, std::vector<float>* out) {
    ASSIGN_OR_RETURN(*out, checkpoint_.ReadFloat(name, shape));
    return absl::OkStatus();
  }

  absl::Status Append(const std::string& name, int64_t rows, Rows* out) {
    std::vector<float> values;
    RETURN_IF_ERROR(Read(name, {rows, out->cols}, &values));
    out->Append(values);
    return absl::OkStatus();
  }

  static kernels::MatrixView<const float> View(const Rows& rows) {
    return {rows.values.data(), rows.rows(), rows.cols, rows.cols};
  }

  PackedMatrix Pack(const Rows& rows) const {
    if (form_ != WeightForm::kBf16Widened) {
      return PackedMatrix::Pack(View(rows), form_ == WeightForm::kBf16);
    }
    Rows rounded = rows;
    for (float& value : rounded.values) value = kernels::ToFloat(kernels::ToBf16(value));
    return PackedMatrix::Pack(View(rounded), false);
  }

  absl::StatusOr<PackedMatrix> Matrix(const std::string& name, int64_t rows, int64_t cols) {
    Rows matrix{cols, {}};
    RETURN_IF_ERROR(Append(name, rows, &matrix));
    return Pack(matrix);
  }

  absl::StatusOr<LayerWeights> Layer(int layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    LayerWeights out;
    out.full = policy_.full[static_cast<size_t>(layer)];
    out.moe = config_.moe_layers[static_cast<size_t>(layer)];
    const int64_t hidden = config_.hidden_size;
    RETURN_IF_ERROR(Read(prefix + "input_layernorm.weight", {hidden}, &out.input_norm));
    RETURN_IF_ERROR(Read(prefix + "post_attention_layernorm.weight", {hidden}, &out.post_norm));
    RETURN_IF_ERROR(Projections(prefix + "self_attn.", &out));
    RETURN_IF_ERROR(Heads(prefix + "self_attn.", &out));
    if (out.full) RETURN_IF_ERROR(Indexer(prefix + "self_attn.indexer.", &out.indexer));
    if (out.moe) RETURN_IF_ERROR(Experts(layer, prefix + "mlp.", &out.experts));
    RETURN_IF_ERROR(FeedForward(prefix + "mlp.", &out));
    return out;
  }

  absl::Status Projections(const std::string& prefix, LayerWeights* out) {
    const int64_t kv = config_.kv_lora_rank + config_.qk_rope_head_dim;
    Rows input{config_.hidden_size, {}};
    RETURN_IF_ERROR(Append(prefix + "q_a_proj.weight", config_.q_lora_rank, &input));
    RETURN_IF_ERROR(Append(prefix + "kv_a_proj_with_mqa.weight", kv, &input));
    const int64_t heads = config_.num_attention_heads;
    Rows query{config_.q_lora_rank, {}};
    const int64_t head_dim = config_.qk_nope_head_dim + config_.qk_rope_head_dim;
    RETURN_IF_ERROR(Append(prefix + "q_b_proj.weight", heads * head_dim, &query));
    if (out->full) {
      const int64_t dim = config_.index_head_dim;
      RETURN_IF_ERROR(Append(prefix + "indexer.wk.weight", dim, &input));
      RETURN_IF_ERROR(Append(prefix + "indexer.wq_b.weight", config_.index_n_heads * dim, &query));
    }
    out->input_proj = Pack(input);
    out->q_proj = Pack(query);
    RETURN_IF_ERROR(Read(prefix + "q_a_layernorm.weight", {config_.q_lora_rank}, &out->q_norm));
    RETURN_IF_ERROR(Read(prefix + "kv_a_layernorm.weight", {config_.kv_lora_rank}, &out->kv_norm));
    ASSIGN_OR_RETURN(out->o_proj, Matrix(prefix + "o_proj.weight", config_.hidden_size,
                                         heads * config_.v_head_dim));
    if (!config_.attention_bias) return absl::OkStatus();
    std::vector<float> kv_bias;
    RETURN_IF_ERROR(Read(prefix + "q_a_proj.bias", {config_.q_lora_rank}, &out->input_bias));
    RETURN_IF_ERROR(Read(prefix + "kv_a_proj_with_mqa.bias", {kv}, &kv_bias));
    out->input_bias.insert(out->input_bias.end(), kv_bias.begin(), kv_bias.end());
    out->input_bias.resize(static_cast<size_t>(input.rows()), 0.0F);  // the indexer's key has none
    return Read(prefix + "o_proj.bias", {config_.hidden_size}, &out->o_bias);
  }

  // kv_b [heads * (nope + v), kv_lora], per head k_nope rows first, is split for the absorbed form.
  absl::Status Heads(const std::string& prefix, LayerWeights* out) {
    const int64_t nope = config_.qk_nope_head_dim;
    const int64_t value = config_.v_head_dim;
    const int64_t rank = config_.kv_lora_rank;
    std::vector<float> kv_b;
    RETURN_IF_ERROR(Read(prefix + "kv_b_proj.weight",
                         {config_.num_attention_heads * (nope + value), rank}, &kv_b));
    for (int64_t head = 0; head < config_.num_attention_heads; ++head) {
      const float* keys = kv_b.data() + head * (nope + value) * rank;
      Rows absorb{nope, std::vector<float>(static_cast<size_t>(nope * rank))};
      for (int64_t i = 0; i < nope; ++i) {
        for (int64_t j = 0; j < rank; ++j) {
          absorb.values[static_cast<size_t>(j * nope + i)] = keys[i * rank + j];
        }
      }
      out->absorb.push_back(Pack(absorb));
      const float* values = keys + nope * rank;
      out->value_up.push_back(Pack({rank, {values, values + value * rank}}));
    }
    return absl::OkStatus();
  }

  absl::Status Indexer(const std::string& prefix, IndexerWeights* out) {
    const int64_t dim = config_.index_head_dim;
    RETURN_IF_ERROR(Read(prefix + "k_norm.weight", {dim}, &out->k_norm_weight));
    RETURN_IF_ERROR(Read(prefix + "k_norm.bias", {dim}, &out->k_norm_bias));
    Rows weights{config_.hidden_size, {}};
    RETURN_IF_ERROR(Append(prefix + "weights_proj.weight", config_.index_n_heads, &weights));
    const auto scale =
        static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.index_n_heads) *
                                           static_cast<double>(config_.index_head_dim)));
    for (float& value : weights.values) value *= scale;
    out->head_weights = PackedMatrix::Pack(View(weights), false);
    return absl::OkStatus();
  }

  absl::Status Experts(int layer, const std::string& prefix, MoeWeights* out) {
    const int64_t experts = config_.n_routed_experts;
    Rows router{config_.hidden_size, {}};
    RETURN_IF_ERROR(Append(prefix + "gate.weight", experts, &router));
    out->router = PackedMatrix::Pack(View(router), false);
    RETURN_IF_ERROR(Read(prefix + "gate.e_score_correction_bias", {experts}, &out->router_bias));
    using weights::ExpertMatrix;
    for (int expert = 0; expert < config_.n_routed_experts; ++expert) {
      Rows both{config_.hidden_size, {}};
      for (const ExpertMatrix part : {ExpertMatrix::kGate, ExpertMatrix::kUp}) {
        ASSIGN_OR_RETURN(const std::vector<float> values,
                         weights::ReadExpertFloat(checkpoint_, layer, expert, part));
        both.Append(values);
      }
      out->gate_up.push_back(Pack(both));
      ASSIGN_OR_RETURN(std::vector<float> down,
                       weights::ReadExpertFloat(checkpoint_, layer, expert, ExpertMatrix::kDown));
      out->down.push_back(Pack({config_.moe_intermediate_size, std::move(down)}));
    }
    out->has_shared = config_.n_shared_experts > 0;
    return absl::OkStatus();
  }

  // The dense layer's, or the shared experts' as one of their summed width.
  absl::Status FeedForward(std::string prefix, LayerWeights* out) {
    int64_t width = config_.intermediate_size;
    if (out->moe) {
      if (!out->experts.has_shared) return absl::OkStatus();
      width = int64_t{config_.moe_intermediate_size} * config_.n_shared_experts;
      prefix += "shared_experts.";
    }
    Rows both{config_.hidden_size, {}};
    RETURN_IF_ERROR(Append(prefix + "gate_proj.weight", width, &both));
    RETURN_IF_ERROR(Append(prefix + "up_proj.weight", width, &both));
    out->gate_up = Pack(both);
    ASSIGN_OR_RETURN(out->down, Matrix(prefix + "down_proj.weight", config_.hidden_size, width));
    return absl::OkStatus();
  }

  const weights::Checkpoint& checkpoint_;
  const config::ModelConfig& config_;
  const config::IndexCachePolicy& policy_;
  const WeightForm form_;
};

}  // namespace

absl::StatusOr<ModelWeights> LoadModelWeights(const weights::Checkpoint& checkpoint,
                                              const config::IndexCachePolicy& policy,
                                              WeightForm form) {
  return Loader(checkpoint, policy, form).Load();
}

}  // namespace lectern::model
