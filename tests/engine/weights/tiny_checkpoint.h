#pragma once
// Small checkpoints made in the test: any dtype, experts fused or one by one, one file or shards.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/weights/checkpoint.h"
#include "nlohmann/json.hpp"

namespace lectern::weights {

// Two layers, the first dense, the second MoE and Shared. Widths are no multiples of 128, and the
// border between gate and up in a fused tensor (row 96) lies inside a scale block.
nlohmann::json TinyConfig();

struct OwnedTensor {
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};

class TinyCheckpoint {
 public:
  // Every tensor that TinyConfig's model needs, as F32. The value at flat index i of the tensor
  // that is number n in ModelTensors is Value(n, i).
  explicit TinyCheckpoint(bool fused_experts = false, const nlohmann::json& config = TinyConfig());

  // Multiples of 1/8 in [-1, 0.875]: exact in every weight dtype.
  static float Value(size_t tensor, int64_t index);

  nlohmann::json config;
  std::map<std::string, OwnedTensor> tensors;

  // Stores `name` anew as `dtype`. FP8 takes the values as they are; scales are added with
  // AddScales.
  void Convert(const std::string& name, Dtype dtype);
  // NAME_scale_inv as F32: the scale of block b (flat over the scale tensor) is 2^(b % 5 - 2).
  void AddScales(const std::string& name);
  void AddF32(const std::string& name, std::vector<int64_t> shape);
  // config.json and model.safetensors, or `num_shards` shards with an index.
  void Write(const std::string& directory, int num_shards = 1) const;
};

// Value of the tensor `name` at `index`, whatever it was converted to (scales not applied).
float StoredValue(const OwnedTensor& tensor, int64_t index);

}  // namespace lectern::weights
