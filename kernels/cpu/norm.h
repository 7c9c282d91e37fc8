#pragma once
// Norms and RoPE of one row, shared by the operators and by the writers of cache rows. Sums run in
// eight fixed lanes; compiled for the base instruction set on every path, since they are a few
// percent of a step.

#include <cmath>
#include <cstdint>

#include "kernels/cpu/simd.h"

namespace lectern::kernels::cpu {

inline void RmsNormRow(const float* x, const float* weight, float eps, int64_t size, float* out) {
  const float mean = Dot<8>(x, x, size) / static_cast<float>(size);
  const float inverse = 1.0F / std::sqrt(mean + eps);
  for (int64_t i = 0; i < size; ++i) out[i] = x[i] * inverse * weight[i];
}

inline void LayerNormRow(const float* x, const float* weight, const float* bias, float eps,
                         int64_t size, float* out) {
  float sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(size);
  float square = 0;
  for (int64_t i = 0; i < size; ++i) square += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.0F / std::sqrt(square / static_cast<float>(size) + eps);
  for (int64_t i = 0; i < size; ++i) out[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
}

// `out` may be x.
inline void RopeRow(const float* x, int64_t dims, bool interleaved, const float* cos,
                    const float* sin, float* out) {
  const int64_t half = dims / 2;
  for (int64_t j = 0; j < half; ++j) {
    const int64_t first = interleaved ? 2 * j : j;
    const int64_t second = interleaved ? 2 * j + 1 : j + half;
    const float a = x[first];
    const float b = x[second];
    out[first] = a * cos[j] - b * sin[j];
    out[second] = b * cos[j] + a * sin[j];
  }
}

}  // namespace lectern::kernels::cpu
