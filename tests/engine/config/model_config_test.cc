#include "engine/config/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "nlohmann/json.hpp"

namespace lectern::config {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

// GLM-5's published values.
json Glm5() {
  return json::parse(R"({
    "model_type": "glm_moe_dsa", "num_hidden_layers": 78, "hidden_size": 6144,
    "num_attention_heads": 64, "num_key_value_heads": 64, "q_lora_rank": 2048, "kv_lora_rank": 512,
    "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "v_head_dim": 256, "head_dim": 192,
    "index_n_heads": 32, "index_head_dim": 128, "index_topk": 2048, "intermediate_size": 12288,
    "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
    "num_experts_per_tok": 8, "first_k_dense_replace": 3, "n_group": 1, "topk_group": 1,
    "norm_topk_prob": true, "routed_scaling_factor": 2.5, "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"},
    "max_position_embeddings": 202752, "vocab_size": 154880, "tie_word_embeddings": false,
    "attention_bias": false, "eos_token_id": [154820, 154827, 154829],
    "a_field_from_the_future": {"x": [1, 2]}})");
}

json DeepseekV32() {
  json config = Glm5();
  config.update(json::parse(R"({
    "model_type": "deepseek_v32", "num_hidden_layers": 61, "hidden_size": 7168,
    "num_attention_heads": 128, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "v_head_dim": 128,
    "index_n_heads": 64, "intermediate_size": 18432, "n_group": 8, "topk_group": 4,
    "rms_norm_eps": 1e-6, "rope_parameters": null, "rope_theta": 10000,
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                     "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0},
    "max_position_embeddings": 163840, "vocab_size": 129280, "eos_token_id": 1,
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}})"));
  return config;
}

absl::StatusOr<ModelConfig> Parse(const json& config, std::string_view generation = "") {
  return ParseModelConfig(config.dump(), generation);
}

json With(json config, const char* field, json value) {
  config[field] = std::move(value);
  return config;
}

void ExpectRefused(const json& config, const char* field,
                   absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const auto parsed = Parse(config);
  EXPECT_EQ(parsed.status().code(), code) << field << ": " << parsed.status();
  EXPECT_THAT(parsed.status().message(), HasSubstr(field));
  EXPECT_THAT(parsed.status().message(), HasSubstr("config.json"));
}

TEST(ModelConfigTest, ReadsGlm5) {
  const auto config = Parse(Glm5());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->model_type, ModelType::kGlmMoeDsa);
  EXPECT_EQ(config->qk_rope_head_dim, 64);  // head_dim 192 is noise
  EXPECT_TRUE(config->indexer_rope_interleaved);
  EXPECT_EQ(config->rope_theta, 1e6);
  EXPECT_FALSE(config->yarn.has_value());
  EXPECT_THAT(config->eos_token_ids, ElementsAre(154820, 154827, 154829));
  EXPECT_EQ(std::count(config->moe_layers.begin(), config->moe_layers.end(), true), 75);
  EXPECT_FALSE(config->moe_layers[2]);
  EXPECT_TRUE(config->moe_layers[3]);
  EXPECT_FALSE(config->index_cache.indexer_types.has_value());
}

TEST(ModelConfigTest, ReadsDeepseekV32WithOldYarn) {
  const auto config = Parse(DeepseekV32());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->indexer_rope_interleaved);
  EXPECT_EQ(config->n_group, 8);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1));
  ASSERT_TRUE(config->yarn.has_value());
  EXPECT_EQ(config->yarn->factor, 40);
  EXPECT_EQ(config->yarn->original_max_position_embeddings, 4096);
  EXPECT_EQ(config->yarn->mscale_all_dim, 1.0);
  EXPECT_FALSE(config->yarn->attention_factor.has_value());
}

TEST(ModelConfigTest, Glm4MoeLiteNeedsAGraftedIndexer) {
  json config = With(Glm5(), "model_type", "glm4_moe_lite");
  const auto parsed = Parse(config);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->model_type, ModelType::kGlm4MoeLite);
  EXPECT_TRUE(parsed->indexer_rope_interleaved);
  config.erase("index_topk");
  ExpectRefused(config, "grafted");
}

TEST(ModelConfigTest, NewAndOldRopeSpellingsAreEqual) {
  json config = DeepseekV32();
  json parameters = config["rope_scaling"];
  parameters.erase("type");
  parameters["rope_type"] = "yarn";
  parameters["rope_theta"] = 10000.0;
  config["rope_parameters"] = parameters;
  ASSERT_TRUE(Parse(config).ok()) << Parse(config).status();  // both, and they agree
  config["rope_scaling"] = nullptr;
  config.erase("rope_theta");
  const auto parsed = Parse(config);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->rope_theta, 1e4);
  EXPECT_EQ(parsed->yarn->factor, 40);
}

TEST(ModelConfigTest, YarnDefaults) {
  json config = DeepseekV32();
  config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}, {"beta_fast", nullptr}};
  const auto parsed = Parse(config);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->yarn->beta_fast, 32);
  EXPECT_EQ(parsed->yarn->beta_slow, 1);
  EXPECT_EQ(parsed->yarn->original_max_position_embeddings, 163840);  // max_position_embeddings
  EXPECT_FALSE(parsed->yarn->mscale.has_value());
}

TEST(ModelConfigTest, RopeFaultsAreNamed) {
  json config = DeepseekV32();
  config["rope_scaling"]["type"] = "linear";
  ExpectRefused(config, "rope_type", absl::StatusCode::kUnimplemented);
  config["rope_scaling"]["type"] = "yarn";
  config["rope_scaling"]["rope_type"] = "default";
  ExpectRefused(config, "type");
  config = DeepseekV32();
  config["rope_scaling"].erase("factor");
  ExpectRefused(config, "factor");
  config = DeepseekV32();
  config["rope_scaling"]["factor"] = 0.5;
  ExpectRefused(config, "factor");
  config = DeepseekV32();
  config["rope_parameters"] = {{"rope_type", "default"}};
  ExpectRefused(config, "contradicts");
  ExpectRefused(With(Glm5(), "rope_theta", 5.0), "contradicts");
  ExpectRefused(With(Glm5(), "rope_theta", -1), "rope_theta");
  ExpectRefused(With(Glm5(), "rope_parameters", "default"), "rope_parameters");
  ExpectRefused(With(Glm5(), "rope_parameters", {{"full_attention", {{"rope_theta", 1e6}}}}),
                "per kind of layer", absl::StatusCode::kUnimplemented);
  ExpectRefused(With(Glm5(), "partial_rotary_factor", 0.5), "partial_rotary_factor",
                absl::StatusCode::kUnimplemented);
}

TEST(ModelConfigTest, RopeThetaAtTheTopOrAbsent) {
  json config = With(Glm5(), "rope_parameters", nullptr);
  EXPECT_EQ(Parse(config)->rope_theta, 1e4);
  EXPECT_EQ(Parse(With(config, "rope_theta", 50000.0))->rope_theta, 5e4);
}

TEST(ModelConfigTest, MlpLayerTypesBeatFirstKDenseReplace) {
  json config = With(Glm5(), "num_hidden_layers", 4);
  config["mlp_layer_types"] = {"sparse", "dense", "sparse", "dense"};
  EXPECT_THAT(Parse(config)->moe_layers, ElementsAre(true, false, true, false));
  config["mlp_layer_types"].push_back("dense");
  ExpectRefused(config, "mlp_layer_types");
  config["mlp_layer_types"] = {"sparse", "dense", "sparse", "moe"};
  ExpectRefused(config, "mlp_layer_types");
  config.erase("mlp_layer_types");
  config["first_k_dense_replace"] = nullptr;
  ExpectRefused(config, "first_k_dense_replace");
  // More dense layers than layers: all dense, and no expert field is asked for.
  config["first_k_dense_replace"] = 7;
  config.erase("n_routed_experts");
  EXPECT_THAT(Parse(config)->moe_layers, ElementsAre(false, false, false, false));
}

TEST(ModelConfigTest, IndexCacheFields) {
  json config = With(Glm5(), "num_hidden_layers", 3);
  config["indexer_types"] = {"full", "shared", "full"};
  config["index_topk_pattern"] = "fsF";
  config["index_topk_freq"] = 4;
  config["index_skip_topk_offset"] = nullptr;
  config["use_index_cache"] = false;
  auto parsed = Parse(config);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(*parsed->index_cache.indexer_types, ElementsAre(true, false, true));
  EXPECT_EQ(parsed->index_cache.index_topk_pattern, "FSF");
  EXPECT_EQ(parsed->index_cache.index_topk_freq, 4);
  EXPECT_FALSE(parsed->index_cache.index_skip_topk_offset.has_value());
  EXPECT_EQ(parsed->index_cache.use_index_cache, false);
  config["index_topk_pattern"] = {"full", "shared", "shared"};
  EXPECT_EQ(Parse(config)->index_cache.index_topk_pattern, "FSS");
  config["index_topk_pattern"] = "FQS";
  ExpectRefused(config, "index_topk_pattern");
  config["index_topk_pattern"] = 7;
  ExpectRefused(config, "index_topk_pattern");
  config["index_topk_pattern"] = {"full", 3, "shared"};
  ExpectRefused(config, "entry 1");
  config["index_topk_pattern"] = nullptr;
  config["indexer_types"] = {"full", "Full", "full"};
  ExpectRefused(config, "indexer_types");
  config["indexer_types"] = "FSF";
  ExpectRefused(config, "indexer_types");
}

TEST(ModelConfigTest, GenerationConfigsEosWins) {
  EXPECT_THAT(Parse(Glm5(), R"({"eos_token_id": 7})")->eos_token_ids, ElementsAre(7));
  EXPECT_THAT(Parse(Glm5(), R"({"eos_token_id": null, "temperature": 1})")->eos_token_ids,
              ElementsAre(154820, 154827, 154829));
  EXPECT_TRUE(Parse(With(Glm5(), "eos_token_id", nullptr))->eos_token_ids.empty());
  ExpectRefused(With(Glm5(), "eos_token_id", 154880), "eos_token_id");
  ExpectRefused(With(Glm5(), "eos_token_id", {1, -1}), "eos_token_id");
  const auto bad = Parse(Glm5(), R"({"eos_token_id": "</s>"})");
  EXPECT_THAT(bad.status().message(), HasSubstr("generation_config.json: eos_token_id"));
  EXPECT_THAT(Parse(Glm5(), "{").status().message(), HasSubstr("generation_config.json"));
}

TEST(ModelConfigTest, EveryDimensionIsRequiredPositiveAndBounded) {
  for (const char* const field :
       {"num_hidden_layers", "hidden_size", "num_attention_heads", "q_lora_rank", "kv_lora_rank",
        "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "index_n_heads", "index_head_dim",
        "index_topk", "intermediate_size", "moe_intermediate_size", "n_routed_experts",
        "num_experts_per_tok", "max_position_embeddings", "vocab_size"}) {
    json config = Glm5();
    config.erase(field);
    ExpectRefused(config, field);
    for (const json& value :
         {json(nullptr), json(0), json(-8), json(1LL << 40), json(1.5), json("8"), json(true),
          json(18446744073709551615ULL), json::array({8})}) {
      ExpectRefused(With(Glm5(), field, value), field);
    }
  }
}

TEST(ModelConfigTest, ContradictionsAreNamed) {
  ExpectRefused(With(Glm5(), "qk_rope_head_dim", 63), "qk_rope_head_dim");
  ExpectRefused(With(Glm5(), "index_head_dim", 32), "index_head_dim");
  ExpectRefused(With(Glm5(), "n_group", 3), "n_group");
  ExpectRefused(With(Glm5(), "n_group", 256), "n_group");
  ExpectRefused(With(Glm5(), "topk_group", 2), "topk_group");
  ExpectRefused(With(Glm5(), "num_experts_per_tok", 257), "num_experts_per_tok");
  ExpectRefused(With(DeepseekV32(), "num_experts_per_tok", 129), "num_experts_per_tok");
  ExpectRefused(With(DeepseekV32(), "n_group", nullptr), "n_group");
  ExpectRefused(With(Glm5(), "rms_norm_eps", 0.0), "rms_norm_eps");
  ExpectRefused(With(Glm5(), "routed_scaling_factor", "2.5"), "routed_scaling_factor");
  ExpectRefused(With(Glm5(), "tie_word_embeddings", 0), "tie_word_embeddings");
  ExpectRefused(With(Glm5(), "hidden_act", "gelu"), "hidden_act", absl::StatusCode::kUnimplemented);
  ExpectRefused(With(Glm5(), "mlp_bias", true), "mlp_bias", absl::StatusCode::kUnimplemented);
  ExpectRefused(With(Glm5(), "model_type", "llama"), "model_type",
                absl::StatusCode::kUnimplemented);
  ExpectRefused(With(Glm5(), "model_type", nullptr), "model_type");
  ExpectRefused(With(DeepseekV32(), "quantization_config", {{"quant_method", "awq"}}), "awq",
                absl::StatusCode::kUnimplemented);
  ExpectRefused(With(DeepseekV32(), "quantization_config", {{"weight_block_size", {64, 64}}}),
                "weight_block_size", absl::StatusCode::kUnimplemented);
}

TEST(ModelConfigTest, MalformedTextIsRefused) {
  for (const char* const text :
       {"", "[]", "7", "{", "{\"model_type\": \"glm_moe_dsa\"",
        "{\"model_type\": \"glm_moe_dsa\", \"model_type\": \"glm_moe_dsa\"}"}) {
    const auto parsed = ParseModelConfig(text, "");
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(parsed.status().message(), HasSubstr("config.json")) << text;
  }
}

// Every prefix, and many bytes changed at random: an error or a config, never a crash.
TEST(ModelConfigTest, CutAndChangedTextNeverCrashes) {
  const std::string text = DeepseekV32().dump();
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(ParseModelConfig(text.substr(0, length), "").ok()) << length;
  }
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string changed = text;
    for (uint64_t changes = 1 + random() % 4; changes > 0; --changes) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    const auto parsed = ParseModelConfig(changed, changed);
    if (!parsed.ok()) {
      EXPECT_THAT(parsed.status().message(), HasSubstr("config.json"));
    }
  }
}

TEST(ModelConfigTest, MissingDirectoryIsNotFound) {
  const auto missing = LoadModelConfig(testing::TempDir() + "/no_such_model");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.status().message(), HasSubstr("no_such_model/config.json"));
}

}  // namespace
}  // namespace lectern::config
