#pragma once
// Softmax numerators of one row of scores, on the compiler's vectors.

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/simd.h"

namespace lectern::kernels::cpu {

// Scores of one head are padded to a multiple of this many.
inline constexpr int64_t kScorePad = 64;

inline int64_t PaddedCount(int64_t count) {
  return (count + kScorePad - 1) / kScorePad * kScorePad;
}

template <int kLanes>
LECTERN_INLINE float Highest(const float* scores, int64_t padded) {
  typename Lanes<kLanes>::F32 best, value;
  LoadVector(best, scores);
  for (int64_t i = kLanes; i < padded; i += kLanes) {
    LoadVector(value, scores + i);
    best = value > best ? value : best;
  }
  float lane[kLanes];
  StoreVector(lane, best);
  for (int i = 1; i < kLanes; ++i) lane[0] = lane[i] > lane[0] ? lane[i] : lane[0];
  return lane[0];
}

// scores[0..count) become exp(score - highest), the padding 0. Returns the reciprocal of their sum,
// which runs in lanes over the padded row, then over the lanes as a tree.
template <int kLanes>
LECTERN_INLINE float SoftmaxNumerators(float* scores, int64_t count) {
  const int64_t padded = PaddedCount(count);
  for (int64_t i = count; i < padded; ++i) scores[i] = scores[0];
  const float best = Highest<kLanes>(scores, padded);
  typename Lanes<kLanes>::F32 sum = {}, value;
  for (int64_t i = 0; i < padded; i += kLanes) {
    LoadVector(value, scores + i);
    value -= best;
    ExpVector<kLanes>(value);
    StoreVector(scores + i, value);
    if (i + kLanes > count) {
      for (int64_t pad = std::max(i, count); pad < i + kLanes; ++pad) scores[pad] = 0.0F;
      LoadVector(value, scores + i);
    }
    sum += value;
  }
  return 1.0F / SumLanes<kLanes>(sum);
}

}  // namespace lectern::kernels::cpu
