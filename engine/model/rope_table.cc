#include "engine/model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lectern::model {
namespace {

double Mscale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double AttentionFactor(const config::YarnConfig& yarn) {
  if (yarn.attention_factor) return *yarn.attention_factor;
  const double mscale = yarn.mscale.value_or(0.0);
  const double all_dim = yarn.mscale_all_dim.value_or(0.0);
  if (mscale != 0.0 && all_dim != 0.0) {
    return Mscale(yarn.factor, mscale) / Mscale(yarn.factor, all_dim);
  }
  return Mscale(yarn.factor, 1.0);
}

// Slow pairs are interpolated by `factor`, fast ones kept, with a ramp between the two corrections.
void ApplyYarn(const config::YarnConfig& yarn, double theta, int dims,
               std::vector<double>* inverse) {
  const auto correction = [&](double rotations) {
    const auto original = static_cast<double>(yarn.original_max_position_embeddings);
    return dims * std::log(original / (rotations * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(theta));
  };
  const double low = std::max(std::floor(correction(yarn.beta_fast)), 0.0);
  double high = std::min(std::ceil(correction(yarn.beta_slow)), dims - 1.0);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < inverse->size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    (*inverse)[i] *= ramp / yarn.factor + 1.0 - ramp;
  }
}

}  // namespace

RopeTable::RopeTable(const config::ModelConfig& config) {
  const int dims = config.qk_rope_head_dim;
  for (int i = 0; i < dims / 2; ++i) {
    inverse_frequency_.push_back(std::pow(config.rope_theta, -2.0 * i / dims));
  }
  if (config.yarn) {
    ApplyYarn(*config.yarn, config.rope_theta, dims, &inverse_frequency_);
    attention_factor_ = AttentionFactor(*config.yarn);
  }
}

void RopeTable::Fill(std::span<const int32_t> positions, kernels::MatrixView<float> cos,
                     kernels::MatrixView<float> sin) const {
  for (size_t t = 0; t < positions.size(); ++t) {
    for (size_t i = 0; i < inverse_frequency_.size(); ++i) {
      const double angle = positions[t] * inverse_frequency_[i];
      const auto row = static_cast<int64_t>(t);
      cos.row(row)[i] = static_cast<float>(std::cos(angle) * attention_factor_);
      sin.row(row)[i] = static_cast<float>(std::sin(angle) * attention_factor_);
    }
  }
}

float SoftmaxScale(const config::ModelConfig& config) {
  double scale = 1.0 / std::sqrt(config.qk_nope_head_dim + config.qk_rope_head_dim);
  if (config.yarn && config.yarn->mscale_all_dim.value_or(0.0) != 0.0) {
    const double mscale = Mscale(config.yarn->factor, *config.yarn->mscale_all_dim);
    scale *= mscale * mscale;
  }
  return static_cast<float>(scale);
}

}  // namespace lectern::model
