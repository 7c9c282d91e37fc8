#include "tests/engine/weights/tiny_checkpoint.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <utility>

#include "engine/weights/dequantize.h"
#include "engine/weights/float_conversion.h"
#include "engine/weights/safetensors_writer.h"
#include "engine/weights/tensor_schema.h"

namespace lectern::weights {
namespace {

int64_t NumElements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

template <typename Stored>
void Append(std::vector<std::byte>& bytes, Stored value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof(value));
}

// Narrows by search over all bit patterns: slow, and independent of any rounding code.
template <typename Stored, typename Widen>
Stored Narrow(float value, Widen widen) {
  for (uint32_t bits = 0; bits <= std::numeric_limits<Stored>::max(); ++bits) {
    if (widen(static_cast<Stored>(bits)) == value) return static_cast<Stored>(bits);
  }
  ADD_FAILURE() << value << " is not exact in this dtype";
  return 0;
}

void AppendAs(std::vector<std::byte>& bytes, Dtype dtype, float value) {
  static std::map<std::pair<Dtype, float>, uint16_t> known;
  if (dtype == Dtype::kF32) return Append(bytes, value);
  auto [entry, is_new] = known.try_emplace({dtype, value}, uint16_t{0});
  if (is_new) {
    entry->second = dtype == Dtype::kBf16  ? Narrow<uint16_t>(value, Bf16ToFloat)
                    : dtype == Dtype::kF16 ? Narrow<uint16_t>(value, F16ToFloat)
                                           : Narrow<uint8_t>(value, F8E4m3ToFloat);
  }
  if (dtype == Dtype::kF8E4m3) return Append(bytes, static_cast<uint8_t>(entry->second));
  Append(bytes, entry->second);
}

}  // namespace

nlohmann::json TinyConfig() {
  return nlohmann::json::parse(R"({
    "model_type": "glm_moe_dsa", "num_hidden_layers": 2, "hidden_size": 160,
    "num_attention_heads": 2, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4, "v_head_dim": 4, "index_n_heads": 2, "index_head_dim": 8, "index_topk": 4,
    "intermediate_size": 24, "moe_intermediate_size": 96, "n_routed_experts": 3, "n_shared_experts": 1,
    "num_experts_per_tok": 2, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
    "norm_topk_prob": true, "routed_scaling_factor": 2.5, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "max_position_embeddings": 128, "vocab_size": 16, "index_topk_pattern": "FS"})");
}

float TinyCheckpoint::Value(size_t tensor, int64_t index) {
  const uint64_t mixed = (static_cast<uint64_t>(index) * 7 + tensor * 13 + 3) % 31;
  return (static_cast<float>(mixed % 16) - 8) / 8;
}

TinyCheckpoint::TinyCheckpoint(bool fused_experts, const nlohmann::json& config_json)
    : config(config_json) {
  const auto parsed = config::ParseModelConfig(config.dump(), "");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  const auto policy =
      config::MakeIndexCachePolicy(parsed->num_hidden_layers, parsed->index_cache, {},
                                   std::vector<bool>(parsed->moe_layers.size(), true), nullptr);
  EXPECT_TRUE(policy.ok()) << policy.status();
  const auto specs = ModelTensors(*parsed, *policy, [=](int) { return fused_experts; });
  for (size_t i = 0; i < specs.size(); ++i) {
    OwnedTensor tensor;
    tensor.shape = specs[i].shape;
    for (int64_t at = 0; at < NumElements(tensor.shape); ++at) Append(tensor.bytes, Value(i, at));
    tensors[specs[i].name] = std::move(tensor);
  }
}

float StoredValue(const OwnedTensor& tensor, int64_t index) {
  float value = 0;
  const auto size = static_cast<size_t>(DtypeBytes(tensor.dtype));
  WidenToFloat(tensor.dtype,
               std::span(tensor.bytes).subspan(static_cast<size_t>(index) * size, size),
               {&value, 1});
  return value;
}

void TinyCheckpoint::Convert(const std::string& name, Dtype dtype) {
  OwnedTensor& tensor = tensors.at(name);
  OwnedTensor converted{dtype, tensor.shape, {}};
  for (int64_t at = 0; at < NumElements(tensor.shape); ++at) {
    AppendAs(converted.bytes, dtype, StoredValue(tensor, at));
  }
  tensor = std::move(converted);
}

void TinyCheckpoint::AddScales(const std::string& name) {
  OwnedTensor scale;
  scale.shape = tensors.at(name).shape;
  for (size_t i = scale.shape.size() - 2; i < scale.shape.size(); ++i) {
    scale.shape[i] = (scale.shape[i] + 127) / 128;
  }
  for (int64_t block = 0; block < NumElements(scale.shape); ++block) {
    Append(scale.bytes, std::ldexp(1.0F, static_cast<int>(block % 5) - 2));
  }
  tensors[name + "_scale_inv"] = std::move(scale);
}

void TinyCheckpoint::AddF32(const std::string& name, std::vector<int64_t> shape) {
  OwnedTensor tensor;
  tensor.bytes.resize(static_cast<size_t>(NumElements(shape)) * sizeof(float));
  tensor.shape = std::move(shape);
  tensors[name] = std::move(tensor);
}

void TinyCheckpoint::Write(const std::string& directory, int num_shards) const {
  std::ofstream(directory + "/config.json") << config;
  std::vector<std::vector<TensorToWrite>> shards(static_cast<size_t>(num_shards));
  nlohmann::json index;
  size_t next = 0;
  const auto shard_name = [&](size_t shard) {
    return "model-" + std::to_string(shard) + ".safetensors";
  };
  for (const auto& [name, tensor] : tensors) {
    const size_t shard = next++ % shards.size();
    shards[shard].push_back({name, tensor.dtype, tensor.shape, tensor.bytes});
    index["weight_map"][name] = shard_name(shard);
  }
  if (num_shards == 1) {
    ASSERT_TRUE(WriteSafetensors(directory + "/model.safetensors", shards[0]).ok());
    return;
  }
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    ASSERT_TRUE(WriteSafetensors(directory + "/" + shard_name(shard), shards[shard]).ok());
  }
  std::ofstream(directory + "/model.safetensors.index.json") << index;
}

}  // namespace lectern::weights
