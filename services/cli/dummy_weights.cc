#include "services/cli/dummy_weights.h"

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/model_config.h"
#include "engine/weights/safetensors_writer.h"
#include "engine/weights/tensor_schema.h"
#include "services/cli/source_file.h"

namespace lectern::cli {
namespace {

namespace fs = std::filesystem;

// The upper half of a float: truncation is as good as rounding for random numbers.
uint16_t ToBfloat16(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

// Norms are ones, biases zeros, matrices uniform with the variance 1 / inputs that keeps
// activations in range.
std::vector<uint16_t> RandomValues(const weights::TensorSpec& tensor, std::mt19937_64& random) {
  int64_t count = 1;
  for (const int64_t size : tensor.shape) count *= size;
  std::vector<uint16_t> values(static_cast<size_t>(count));
  if (tensor.shape.size() == 1) {
    const bool scale = tensor.name.ends_with("norm.weight");
    for (uint16_t& value : values) value = ToBfloat16(scale ? 1.0F : 0.0F);
    return values;
  }
  const float bound = std::sqrt(3.0F / static_cast<float>(tensor.shape.back()));
  std::uniform_real_distribution<float> draw(-bound, bound);
  for (uint16_t& value : values) value = ToBfloat16(draw(random));
  return values;
}

}  // namespace

absl::Status WriteDummyCheckpoint(const std::string& config_path, const std::string& directory,
                                  uint64_t seed) {
  const std::string source = fs::is_directory(config_path)
                                 ? (fs::path(config_path) / "config.json").string()
                                 : config_path;
  ASSIGN_OR_RETURN(const std::string config_text, ReadFile(source));
  ASSIGN_OR_RETURN(const config::ModelConfig config, config::ParseModelConfig(config_text, ""));

  config::IndexCachePolicy all_full;
  all_full.full.assign(static_cast<size_t>(config.num_hidden_layers), true);
  std::mt19937_64 random(seed);
  std::vector<std::vector<uint16_t>> values;
  std::vector<weights::TensorToWrite> tensors;
  for (weights::TensorSpec& spec :
       weights::ModelTensors(config, all_full, [](int) { return false; })) {
    values.push_back(
        RandomValues(spec, random));  // a move of the outer vector keeps inner buffers in place
    tensors.push_back({.name = std::move(spec.name),
                       .dtype = weights::Dtype::kBf16,
                       .shape = std::move(spec.shape),
                       .data = std::as_bytes(std::span(values.back()))});
  }
  std::ofstream out(fs::path(directory) / "config.json", std::ios::binary);
  out << config_text;
  out.close();
  if (!out)
    return absl::UnavailableError(absl::StrCat(directory, ": config.json cannot be written"));
  return weights::WriteSafetensors((fs::path(directory) / "model.safetensors").string(),
                                   std::move(tensors));
}

}  // namespace lectern::cli
