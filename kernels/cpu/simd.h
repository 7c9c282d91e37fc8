#pragma once
// Vectors of 4, 8 or 16 floats on the compiler's own vector types, so that one source serves every
// path. Everything is forced inline into a function that is marked for its path (isa.h); vectors go
// by reference, since passing them by value would depend on the caller's path.

#include <cstdint>
#include <cstring>

#include "kernels/cpu/isa.h"
#include "kernels/tensor.h"

namespace lectern::kernels::cpu {

template <int kLanes>
struct Lanes;
template <>
struct Lanes<4> {
  using F32 = float __attribute__((vector_size(16)));
  using I32 = int32_t __attribute__((vector_size(16)));
};
template <>
struct Lanes<8> {
  using F32 = float __attribute__((vector_size(32)));
  using I32 = int32_t __attribute__((vector_size(32)));
};
template <>
struct Lanes<16> {
  using F32 = float __attribute__((vector_size(64)));
  using I32 = int32_t __attribute__((vector_size(64)));
};

template <typename Vector>
LECTERN_INLINE void LoadVector(Vector& out, const float* source) {
  std::memcpy(&out, source, sizeof(out));
}

template <typename Vector>
LECTERN_INLINE void StoreVector(float* target, const Vector& value) {
  std::memcpy(target, &value, sizeof(value));
}

// Lanes in a fixed binary tree.
template <int kLanes>
LECTERN_INLINE float SumLanes(const typename Lanes<kLanes>::F32& value) {
  float lane[kLanes];
  StoreVector(lane, value);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  }
  return lane[0];
}

// sum_i a[i] * b[i]: lanes, then the tree, then the tail in order.
template <int kLanes>
LECTERN_INLINE float Dot(const float* a, const float* b, int64_t size) {
  typename Lanes<kLanes>::F32 sum = {}, x, y;
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    LoadVector(x, a + i);
    LoadVector(y, b + i);
    sum += x * y;
  }
  float total = SumLanes<kLanes>(sum);
  for (; i < size; ++i) total += a[i] * b[i];
  return total;
}

// exp(x), relative error below 2e-7 on [-87, 88]; clamped outside (so never 0 or infinite).
// Source: Cephes expf: x = n ln 2 + r, degree-5 polynomial in r.
template <int kLanes>
LECTERN_INLINE void ExpVector(typename Lanes<kLanes>::F32& x) {
  using F32 = typename Lanes<kLanes>::F32;
  using I32 = typename Lanes<kLanes>::I32;
  constexpr float kMax = 88.0F;
  constexpr float kMin = -87.0F;
  x = x > kMax ? F32{} + kMax : x;
  x = x < kMin ? F32{} + kMin : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const F32 shifted = x * 1.44269504088896341F + kRound;
  const F32 n = shifted - kRound;
  F32 r = x - n * 0.693359375F;
  r = r - n * -2.12194440e-4F;
  F32 p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  const I32 exponent = (__builtin_convertvector(n, I32) + 127) << 23;
  F32 scale;
  std::memcpy(&scale, &exponent, sizeof(scale));
  x = p * scale;
}

LECTERN_INLINE float WidenElement(float value) { return value; }
LECTERN_INLINE float WidenElement(Bf16 value) { return ToFloat(value); }
LECTERN_INLINE void NarrowElement(float value, float* out) { *out = value; }
LECTERN_INLINE void NarrowElement(float value, Bf16* out) { *out = ToBf16(value); }

}  // namespace lectern::kernels::cpu
