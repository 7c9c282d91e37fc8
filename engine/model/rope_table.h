#pragma once
// Rotary angles of a model: one table for attention and indexer.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/config/model_config.h"
#include "kernels/tensor.h"

namespace lectern::model {

// YaRN where the config has it. Source: YaRN (arXiv 2309.00071) as transformers computes it.
class RopeTable {
 public:
  explicit RopeTable(const config::ModelConfig& config);

  // cos and sin of each position times the attention factor: [positions.size(), rope_dim / 2]. The
  // angle is formed in double, so that it is right at any position.
  void Fill(std::span<const int32_t> positions, kernels::MatrixView<float> cos,
            kernels::MatrixView<float> sin) const;

  int64_t num_pairs() const { return static_cast<int64_t>(inverse_frequency_.size()); }

 private:
  std::vector<double> inverse_frequency_;
  double attention_factor_ = 1.0;
};

// (qk_nope + qk_rope)^-1/2, times YaRN's mscale_all_dim correction squared.
float SoftmaxScale(const config::ModelConfig& config);

}  // namespace lectern::model
