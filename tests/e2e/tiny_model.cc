#include "tests/e2e/tiny_model.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/cli/dummy_weights.h"

namespace lectern::e2e {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = R"({
  "architectures": ["GlmMoeDsaForCausalLM"],
  "model_type": "glm_moe_dsa",
  "vocab_size": 1514,
  "hidden_size": 96,
  "num_hidden_layers": 4,
  "num_attention_heads": 4,
  "q_lora_rank": 48,
  "kv_lora_rank": 32,
  "qk_nope_head_dim": 24,
  "qk_rope_head_dim": 8,
  "v_head_dim": 24,
  "index_n_heads": 2,
  "index_head_dim": 32,
  "index_topk": 32,
  "indexer_types": ["full", "shared", "full", "shared"],
  "intermediate_size": 160,
  "moe_intermediate_size": 48,
  "n_routed_experts": 4,
  "num_experts_per_tok": 2,
  "n_shared_experts": 1,
  "n_group": 1,
  "topk_group": 1,
  "first_k_dense_replace": 2,
  "norm_topk_prob": true,
  "routed_scaling_factor": 1.0,
  "hidden_act": "silu",
  "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0,
  "max_position_embeddings": 65536,
  "tie_word_embeddings": false,
  "attention_bias": false,
  "eos_token_id": [0],
  "bos_token_id": null,
  "pad_token_id": 0
}
)";

}  // namespace

absl::StatusOr<std::string> WriteTinyModel(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  const std::string config = directory + "/config.source.json";
  std::ofstream(config) << kConfig;
  constexpr uint64_t kSeed = 20260815;
  RETURN_IF_ERROR(cli::WriteDummyCheckpoint(config, directory, kSeed));
  fs::remove(config, error);
  const fs::path tokenizer =
      fs::path(LECTERN_SOURCE_DIR) / "tests/testdata/conformance/tokenizers/glm.tokenizer.json";
  if (!fs::copy_file(tokenizer, fs::path(directory) / "tokenizer.json", error)) {
    return absl::NotFoundError(absl::StrCat(tokenizer.string(), ": ", error.message()));
  }
  return directory;
}

std::string RandomText(int words, uint64_t seed) {
  constexpr std::array<const char*, 24> kWords = {
      "harbour", "pump",  "valve",   "seven", "the",  "north",  "keeper", "opens",
      "when",    "water", "signal",  "falls", "lamp", "before", "noon",   "rope",
      "engine",  "tide",  "station", "of",    "blue", "writes", "log",    "thirty"};
  std::mt19937_64 random(seed);
  std::string text;
  for (int i = 0; i < words; ++i) {
    std::string word = kWords[random() % kWords.size()];
    if (random() % 9 == 0) word = absl::StrCat(random() % 1000);
    absl::StrAppend(&text, word);
    const uint64_t end = random() % 60;
    absl::StrAppend(&text, i + 1 == words || end < 2 ? ".\n\n" : end < 6 ? ". " : " ");
  }
  return text;
}

}  // namespace lectern::e2e
