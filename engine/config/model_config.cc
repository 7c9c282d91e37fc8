#include "engine/config/model_config.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_fields.h"
#include "engine/config/json_file.h"
#include "engine/config/rope_config.h"

namespace lectern::config {
namespace {

using nlohmann::json;

// A published config.json has a few kilobytes; GLM-5.2's 78-entry lists included.
constexpr int64_t kMaxConfigBytes = 4LL << 20;

// Bounds of single dimensions. They lie well above every published model and low enough that no
// product of those that meet in one tensor leaves int64 (experts * 2 * width * hidden is the
// largest, 2^54), and that heads * head_dim, which code keeps in int, stays under 2^26.
constexpr IntRange kLayers{1, 1024};
constexpr IntRange kWidth{1, 1 << 17};
constexpr IntRange kFfnWidth{1, 1 << 20};
constexpr IntRange kHeads{1, 1 << 12};
constexpr IntRange kHeadDim{1, 1 << 12};
constexpr IntRange kExperts{1, 1 << 16};
constexpr IntRange kVocab{1, 1 << 24};
constexpr IntRange kTopk{1, 1 << 24};
constexpr IntRange kPositions{1, 1LL << 31};
// Layer schedules: what MakeIndexCachePolicy clamps or refuses, it says itself.
constexpr IntRange kAnyInt{std::numeric_limits<int>::min(), std::numeric_limits<int>::max()};

std::optional<ModelType> ParseModelType(std::string_view name) {
  if (name == "glm_moe_dsa") return ModelType::kGlmMoeDsa;
  if (name == "deepseek_v32") return ModelType::kDeepseekV32;
  if (name == "glm4_moe_lite") return ModelType::kGlm4MoeLite;
  return std::nullopt;
}

void ParseAttention(JsonFields& fields, ModelConfig& config) {
  config.num_attention_heads = fields.RequiredInt("num_attention_heads", kHeads);
  config.q_lora_rank = fields.RequiredInt("q_lora_rank", kWidth);
  config.kv_lora_rank = fields.RequiredInt("kv_lora_rank", kWidth);
  config.qk_nope_head_dim = fields.RequiredInt("qk_nope_head_dim", kHeadDim);
  // `head_dim` is not read: published files carry values there that no engine uses.
  config.qk_rope_head_dim = fields.RequiredInt("qk_rope_head_dim", kHeadDim);
  config.v_head_dim = fields.RequiredInt("v_head_dim", kHeadDim);
  config.attention_bias = fields.OptionalBool("attention_bias").value_or(false);
  if (config.qk_rope_head_dim % 2 != 0) fields.Fail("qk_rope_head_dim", "must be even");
}

// "FSSF" of either case, or a list of "full" and "shared"; upper-case letters out.
std::optional<std::string> ParsePattern(JsonFields& fields) {
  const json* value = fields.Get("index_topk_pattern");
  if (value == nullptr) return std::nullopt;
  if (value->is_array()) {
    const auto full = fields.OptionalChoices("index_topk_pattern", "full", "shared");
    std::string pattern;
    if (full) {
      for (const bool is_full : *full) pattern.push_back(is_full ? 'F' : 'S');
    }
    return pattern;
  }
  std::optional<std::string> pattern = fields.OptionalString("index_topk_pattern");
  if (!pattern) return std::nullopt;
  for (char& letter : *pattern) {
    letter = letter == 'f' ? 'F' : letter == 's' ? 'S' : letter;
    if (letter != 'F' && letter != 'S') {
      fields.Fail("index_topk_pattern", "may hold the letters F and S only");
      break;
    }
  }
  return pattern;
}

std::optional<int> ToInt(std::optional<int64_t> value) {
  return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
}

void ParseIndexer(JsonFields& fields, ModelConfig& config) {
  if (config.model_type == ModelType::kGlm4MoeLite && fields.Get("index_topk") == nullptr) {
    fields.Fail("index_topk",
                "is missing: a glm4_moe_lite checkpoint runs here only with a grafted "
                "indexer (index_n_heads, index_head_dim, index_topk)");
  }
  config.index_n_heads = fields.RequiredInt("index_n_heads", kHeads);
  config.index_head_dim = fields.RequiredInt("index_head_dim", kHeadDim);
  config.index_topk = fields.RequiredInt("index_topk", kTopk);
  // `indexer_rope_interleave` is not read: the layout belongs to the family, and the files that
  // carry the field agree with their family.
  config.indexer_rope_interleaved = config.model_type != ModelType::kDeepseekV32;
  if (config.index_head_dim < config.qk_rope_head_dim) {
    fields.Fail("index_head_dim",
                absl::StrCat(config.index_head_dim, " is less than qk_rope_head_dim ",
                             config.qk_rope_head_dim));
  }
  config.index_cache.indexer_types = fields.OptionalChoices("indexer_types", "full", "shared");
  config.index_cache.index_topk_pattern = ParsePattern(fields);
  config.index_cache.index_topk_freq = ToInt(fields.OptionalInt("index_topk_freq", kAnyInt));
  config.index_cache.index_skip_topk_offset =
      ToInt(fields.OptionalInt("index_skip_topk_offset", kAnyInt));
  config.index_cache.use_index_cache = fields.OptionalBool("use_index_cache");
}

// mlp_layer_types wins over first_k_dense_replace, as in transformers.
std::vector<bool> ParseMoeLayers(JsonFields& fields, int num_layers) {
  if (auto sparse = fields.OptionalChoices("mlp_layer_types", "sparse", "dense")) {
    if (std::ssize(*sparse) != num_layers) {
      fields.Fail("mlp_layer_types",
                  absl::StrCat("has ", sparse->size(), " entries for ", num_layers, " layers"));
    }
    sparse->resize(static_cast<size_t>(num_layers));
    return *sparse;
  }
  const int num_dense = fields.RequiredInt("first_k_dense_replace", {0, kLayers.max});
  std::vector<bool> sparse(static_cast<size_t>(num_layers));
  for (int layer = num_dense; layer < num_layers; ++layer)
    sparse[static_cast<size_t>(layer)] = true;
  return sparse;
}

void CheckRouting(JsonFields& fields, const ModelConfig& config) {
  if (config.n_routed_experts % config.n_group != 0) {
    fields.Fail("n_group", absl::StrCat(config.n_group, " does not divide n_routed_experts ",
                                        config.n_routed_experts));
    return;
  }
  const int group_size = config.n_routed_experts / config.n_group;
  if (config.n_group > 1 && group_size < 2) {
    fields.Fail("n_group", "leaves one expert a group; a group's score is the sum of its best two");
  }
  if (config.topk_group > config.n_group) {
    fields.Fail("topk_group",
                absl::StrCat(config.topk_group, " is more than n_group ", config.n_group));
  }
  if (config.num_experts_per_tok > config.topk_group * group_size) {
    fields.Fail("num_experts_per_tok",
                absl::StrCat(config.num_experts_per_tok, " is more than the ",
                             config.topk_group * group_size, " experts that topk_group leaves"));
  }
}

void ParseExperts(JsonFields& fields, ModelConfig& config) {
  config.n_routed_experts = fields.RequiredInt("n_routed_experts", kExperts);
  config.num_experts_per_tok = fields.RequiredInt("num_experts_per_tok", kExperts);
  config.moe_intermediate_size = fields.RequiredInt("moe_intermediate_size", kFfnWidth);
  config.n_shared_experts = fields.RequiredInt("n_shared_experts", {0, 64});
  if (int64_t{config.n_shared_experts} * config.moe_intermediate_size > kFfnWidth.max) {
    fields.Fail("n_shared_experts", "times moe_intermediate_size is too large");
  }
  // Only GLM's files may leave the groups out; DeepSeek's default of 8 must not be taken for 1.
  if (config.model_type == ModelType::kDeepseekV32) {
    config.n_group = fields.RequiredInt("n_group", kExperts);
    config.topk_group = fields.RequiredInt("topk_group", kExperts);
  } else {
    config.n_group = static_cast<int>(fields.OptionalInt("n_group", kExperts).value_or(1));
    config.topk_group = static_cast<int>(fields.OptionalInt("topk_group", kExperts).value_or(1));
  }
  config.norm_topk_prob = fields.OptionalBool("norm_topk_prob").value_or(true);
  config.routed_scaling_factor = fields.RequiredReal("routed_scaling_factor", {0.0, 1e6, true});
  CheckRouting(fields, config);
}

void ParseFeedForward(JsonFields& fields, ModelConfig& config) {
  config.moe_layers = ParseMoeLayers(fields, config.num_hidden_layers);
  const auto is_moe = [](bool moe) { return moe; };
  if (!std::all_of(config.moe_layers.begin(), config.moe_layers.end(), is_moe)) {
    config.intermediate_size = fields.RequiredInt("intermediate_size", kFfnWidth);
  }
  if (std::any_of(config.moe_layers.begin(), config.moe_layers.end(), is_moe)) {
    ParseExperts(fields, config);
  }
  if (fields.OptionalString("hidden_act").value_or("silu") != "silu") {
    fields.FailUnimplemented("hidden_act", "only silu is implemented");
  }
  if (fields.OptionalBool("mlp_bias").value_or(false)) {
    fields.FailUnimplemented("mlp_bias", "biases in feed-forward layers are not implemented");
  }
}

// FP8 is recognised tensor by tensor from the dtypes; here only what those cannot tell is checked.
void CheckQuantization(JsonFields& fields) {
  const json* object = fields.OptionalObject("quantization_config");
  if (object == nullptr) return;
  JsonFields quantization(*object, absl::StrCat(fields.context(), ": quantization_config"));
  const auto method = quantization.OptionalString("quant_method");
  const auto block = quantization.OptionalIntOrList("weight_block_size", {1, 1 << 20});
  if (!quantization.status().ok()) {
    fields.Fail("quantization_config", base::ToStd(quantization.status().message()));
  } else if (method && *method != "fp8") {
    fields.FailUnimplemented("quantization_config", absl::StrCat("quant_method ", Quoted(*method),
                                                                 "; only fp8 is implemented"));
  } else if (block && *block != std::vector<int64_t>{128, 128}) {
    fields.FailUnimplemented("quantization_config", "weight_block_size must be [128, 128]");
  }
}

void ParseEosTokens(JsonFields& fields, ModelConfig& config) {
  const auto ids = fields.OptionalIntOrList("eos_token_id", {0, config.vocab_size - 1});
  if (ids) config.eos_token_ids.assign(ids->begin(), ids->end());
}

absl::StatusOr<json> ParseObject(std::string_view text, const char* file) {
  absl::StatusOr<json> document = ParseStrictJson(text);
  if (!document.ok()) return base::Annotate(document.status(), file);
  if (!document->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": the top level must be an object"));
  }
  return document;
}

absl::Status ReadModelType(const json& document, ModelConfig& config) {
  JsonFields fields(document, "config.json");
  const std::optional<std::string> name = fields.OptionalString("model_type");
  RETURN_IF_ERROR(fields.status());
  if (!name) return absl::InvalidArgumentError("config.json: model_type: is missing");
  const std::optional<ModelType> type = ParseModelType(*name);
  if (!type) {
    return absl::UnimplementedError(
        absl::StrCat("config.json: model_type: ", Quoted(*name),
                     " is not one of glm_moe_dsa, deepseek_v32, glm4_moe_lite"));
  }
  config.model_type = *type;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view config_json,
                                             std::string_view generation_config_json) {
  ASSIGN_OR_RETURN(const json document, ParseObject(config_json, "config.json"));
  ModelConfig config;
  RETURN_IF_ERROR(ReadModelType(document, config));

  JsonFields fields(document, "config.json");
  config.num_hidden_layers = fields.RequiredInt("num_hidden_layers", kLayers);
  config.hidden_size = fields.RequiredInt("hidden_size", kWidth);
  config.vocab_size = fields.RequiredInt("vocab_size", kVocab);
  config.max_position_embeddings = fields.RequiredInt64("max_position_embeddings", kPositions);
  config.rms_norm_eps = fields.RequiredReal("rms_norm_eps", {0.0, 0.1, true});
  config.tie_word_embeddings = fields.OptionalBool("tie_word_embeddings").value_or(false);
  ParseAttention(fields, config);
  ParseIndexer(fields, config);
  ParseFeedForward(fields, config);
  CheckQuantization(fields);
  ParseEosTokens(fields, config);
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(ParseRope(document, config));

  if (!generation_config_json.empty()) {
    ASSIGN_OR_RETURN(const json generation,
                     ParseObject(generation_config_json, "generation_config.json"));
    JsonFields generation_fields(generation, "generation_config.json");
    ParseEosTokens(generation_fields, config);
    RETURN_IF_ERROR(generation_fields.status());
  }
  return config;
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string config_json,
                   ReadTextFile(directory + "/config.json", kMaxConfigBytes));
  absl::StatusOr<std::string> generation_json =
      ReadTextFile(directory + "/generation_config.json", kMaxConfigBytes);
  if (!generation_json.ok() && !absl::IsNotFound(generation_json.status())) {
    return generation_json.status();
  }
  absl::StatusOr<ModelConfig> config =
      ParseModelConfig(config_json, generation_json.ok() ? *generation_json : std::string());
  if (!config.ok()) return base::Annotate(config.status(), directory);
  return config;
}

}  // namespace lectern::config
