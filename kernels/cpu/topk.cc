#include "kernels/cpu/topk.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>

namespace lectern::kernels::cpu {
namespace {

// Unsigned order of the result is the order of the floats; -0 becomes +0 first.
inline uint32_t OrderedBits(float score) {
  const float canonical = score + 0.0F;
  uint32_t bits;
  std::memcpy(&bits, &canonical, sizeof(bits));
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

// Digits from the top: 11, 11 and 10 bits.
constexpr std::array<int, 3> kShift = {21, 10, 0};
constexpr std::array<uint32_t, 3> kDigits = {2048, 2048, 1024};

struct Threshold {
  uint32_t value;     // ordered bits of the k-th highest
  int64_t num_equal;  // how many of that value belong to the k
};

// `candidates` starts as every key; each round keeps those that share the k-th key's digit.
Threshold FindThreshold(uint32_t* candidates, int64_t count, int64_t k) {
  uint32_t value = 0;
  int64_t wanted = k;
  for (size_t round = 0; round < kShift.size(); ++round) {
    std::array<int32_t, 2048> histogram{};
    const int shift = kShift[round];
    const uint32_t mask = kDigits[round] - 1;
    for (int64_t i = 0; i < count; ++i) ++histogram[candidates[i] >> shift & mask];
    uint32_t digit = kDigits[round] - 1;
    while (histogram[digit] < wanted) wanted -= histogram[digit--];
    value |= digit << shift;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t key = candidates[i];
      candidates[kept] = key;
      kept += (key >> shift & mask) == digit ? 1 : 0;
    }
    count = kept;
  }
  return {value, wanted};
}

// Keys that may be among the k highest, in position order; [size] each.
struct Candidates {
  uint32_t* keys;
  int32_t* positions;
  int64_t count;
};

void TakeAll(const float* scores, int64_t size, Candidates* out) {
  for (int64_t i = 0; i < size; ++i) {
    out->keys[i] = OrderedBits(scores[i]);
    out->positions[i] = static_cast<int32_t>(i);
  }
  out->count = size;
}

void Emit(const Candidates& candidates, Threshold threshold, int64_t k, int32_t* out) {
  for (int64_t i = 0, taken = 0; taken < k; ++i) {
    const uint32_t key = candidates.keys[i];
    if (key < threshold.value) continue;
    if (key == threshold.value && threshold.num_equal-- <= 0) continue;
    out[taken++] = candidates.positions[i];
  }
}

#if defined(__x86_64__)

// Below this the radix passes cost less than guessing.
constexpr int64_t kMinSizeToThin = 2048;
constexpr int64_t kMaxSample = 512;

// A value that about 1.5 k + 4 standard deviations of the sample's scores reach.
float GuessBelowKth(const float* scores, int64_t size, int64_t k) {
  std::array<float, kMaxSample> sample;
  const int64_t step = std::max<int64_t>(size / kMaxSample, 8);
  const int64_t count = std::min(size / step, kMaxSample);
  for (int64_t i = 0; i < count; ++i) sample[static_cast<size_t>(i)] = scores[i * step];
  const double expected = static_cast<double>(k * count) / static_cast<double>(size);
  const auto rank = static_cast<int64_t>(1.5 * expected + 4.0 * std::sqrt(expected + 1.0));
  const auto nth = sample.begin() + std::min(rank, count - 1);
  std::nth_element(sample.begin(), nth, sample.begin() + count, std::greater<>());
  return *nth;
}

// Scores of at least `least`. The order of floats serves here: -0 and +0 compare equal.
LECTERN_TARGET_AVX512 void TakeFrom(const float* scores, int64_t size, float least,
                                    Candidates* out) {
  const __m512 bound = _mm512_set1_ps(least);
  const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000U));
  __m512i position = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  int64_t count = 0;
  for (int64_t i = 0; i < size; i += 16) {
    const auto valid = static_cast<__mmask16>((1U << std::min<int64_t>(16, size - i)) - 1U);
    const __m512 score = _mm512_maskz_loadu_ps(valid, scores + i);
    const __mmask16 high = _mm512_mask_cmp_ps_mask(valid, score, bound, _CMP_GE_OQ);
    if (high != 0) {
      const __m512i bits = _mm512_castps_si512(_mm512_add_ps(score, _mm512_setzero_ps()));
      const __m512i negative = _mm512_srai_epi32(bits, 31);
      const __m512i key = _mm512_xor_si512(bits, _mm512_or_si512(negative, sign));
      // Compressed in a register: compressing to memory is slow on Zen 4.
      _mm512_storeu_si512(out->keys + count, _mm512_maskz_compress_epi32(high, key));
      _mm512_storeu_si512(out->positions + count, _mm512_maskz_compress_epi32(high, position));
      count += __builtin_popcount(high);
    }
    position = _mm512_add_epi32(position, _mm512_set1_epi32(16));
  }
  out->count = count;
}

// Positions of keys above the threshold, and of the first num_equal at it.
LECTERN_TARGET_AVX512 void EmitAvx512(const Candidates& candidates, Threshold threshold, int64_t k,
                                      int32_t* out) {
  const __m512i bound = _mm512_set1_epi32(static_cast<int>(threshold.value));
  for (int64_t i = 0, taken = 0; taken < k; i += 16) {
    const int64_t left = std::min<int64_t>(16, candidates.count - i);
    const auto valid = static_cast<__mmask16>((1U << left) - 1U);
    const __m512i key = _mm512_loadu_si512(candidates.keys + i);
    const __mmask16 above = _mm512_mask_cmpgt_epu32_mask(valid, key, bound);
    uint32_t equal = _mm512_mask_cmpeq_epi32_mask(valid, key, bound);
    while (__builtin_popcount(equal) > threshold.num_equal) {
      equal &= ~(1U << (31 - __builtin_clz(equal)));  // the highest position loses
    }
    threshold.num_equal -= __builtin_popcount(equal);
    const auto chosen = static_cast<__mmask16>(above | equal);
    const int count = __builtin_popcount(chosen);
    const __m512i position = _mm512_loadu_si512(candidates.positions + i);
    _mm512_mask_storeu_epi32(out + taken, static_cast<__mmask16>((1U << count) - 1U),
                             _mm512_maskz_compress_epi32(chosen, position));
    taken += count;
  }
}

#endif

}  // namespace

// Keys, positions and a copy of the keys; a vector's width of slack behind each of the first two.
int64_t TopkScratchBytes(int64_t size) {
  return (3 * size + 32) * static_cast<int64_t>(sizeof(uint32_t));
}

void SelectTopk(const float* scores, int64_t size, int64_t k, Isa isa, void* scratch,
                int32_t* out) {
  Candidates candidates{static_cast<uint32_t*>(scratch), nullptr, 0};
  candidates.positions = reinterpret_cast<int32_t*>(candidates.keys + size + 16);
  auto* shrinking = reinterpret_cast<uint32_t*>(candidates.positions + size + 16);
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512 && size >= kMinSizeToThin) {
    TakeFrom(scores, size, GuessBelowKth(scores, size, k), &candidates);
  }
#else
  static_cast<void>(isa);
#endif
  if (candidates.count < k) TakeAll(scores, size, &candidates);
  std::memcpy(shrinking, candidates.keys, static_cast<size_t>(candidates.count) * sizeof(uint32_t));
  const Threshold threshold = FindThreshold(shrinking, candidates.count, k);
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return EmitAvx512(candidates, threshold, k, out);
#endif
  Emit(candidates, threshold, k, out);
}

}  // namespace lectern::kernels::cpu
