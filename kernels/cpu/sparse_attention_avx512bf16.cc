// Sparse absorbed MLA by vdpbf16ps.
//
// Scores: 64 chosen rows at a time are gathered and transposed in 16 x 16 blocks of pairs (two
// elements, 4 bytes), so that a register holds one pair of 16 rows; then 6 heads x 64 rows are 24
// accumulators, one chain over the row's pairs each. Weighted sum: two rows are interleaved into
// pairs of (row 2j, row 2j + 1) and 6 heads x 64 columns are 24 accumulators, one chain over the
// selection each. Moves 2 x 288 bytes a row for the default model, from L2; per query and layer (6
// heads, 512 rows) 13.8K + 12.3K products of 32 multiply-adds, two a cycle at best, and about as
// many shuffles again.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/softmax.h"
#include "kernels/cpu/sparse_attention.h"

namespace lectern::kernels::cpu {
namespace {

constexpr int kHeadGroup = 6;

LECTERN_TARGET_AVX512BF16 LECTERN_INLINE __m512 Dot2(__m512 sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

// 16 x 16 transpose of 4-byte units.
LECTERN_TARGET_AVX512BF16 LECTERN_INLINE void Transpose(__m512i (&r)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// out[pair][64]: pairs of 64 rows. Rows come from L3 in no order that hardware foresees, so the
// `next` 64 are asked for while these are turned (two thirds of this function's time were waits
// without it).
LECTERN_TARGET_AVX512BF16 void GatherTransposed(const void* const* rows, const void* const* next,
                                                int64_t pairs, int32_t* out) {
  for (int64_t pair = 0; pair < pairs; pair += 16) {
    const int64_t count = std::min<int64_t>(16, pairs - pair);
    const auto valid = static_cast<__mmask16>((1U << count) - 1U);
    for (int64_t group = 0; group < kScorePad; group += 16) {
      __m512i block[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        block[i] =
            _mm512_maskz_loadu_epi32(valid, static_cast<const int32_t*>(rows[group + i]) + pair);
        _mm_prefetch(static_cast<const int32_t*>(next[group + i]) + pair, _MM_HINT_T0);
      }
      Transpose(block);
      if (count == 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
          _mm512_store_si512(out + (pair + i) * kScorePad + group, block[i]);
        }
      } else {
        __m512i spill[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) spill[i] = block[i];
        for (int64_t i = 0; i < count; ++i) {
          _mm512_store_si512(out + (pair + i) * kScorePad + group, spill[i]);
        }
      }
    }
  }
}

// scores[h][0..64) = scale * q[h] . rows
template <int kHeads>
LECTERN_TARGET_AVX512BF16 void Scores(const int32_t* q, int64_t pairs, const int32_t* transposed,
                                      float scale, float* scores, int64_t stride) {
  __m512 sum[kHeads][4];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sum[h][v] = _mm512_setzero_ps();
  }
  for (int64_t pair = 0; pair < pairs; ++pair) {
    __m512i key[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      key[v] = _mm512_load_si512(transposed + pair * kScorePad + v * 16);
    }
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) {
      const __m512i value = _mm512_set1_epi32(q[h * pairs + pair]);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[h][v] = Dot2(sum[h][v], value, key[v]);
    }
  }
  const __m512 factor = _mm512_set1_ps(scale);
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      _mm512_storeu_ps(scores + h * stride + v * 16, _mm512_mul_ps(sum[h][v], factor));
    }
  }
}

// out[h][0..kChunks * 32) = inverse[h] * sum_s p[h][s] * row_s, columns from `column` on. `p` holds
// pairs of bf16, `stride` pairs a head.
template <int kHeads, int kChunks>
LECTERN_TARGET_AVX512BF16 void WeightedSum(const AttendQuery& args, const int32_t* p,
                                           int64_t stride, const float* inverse, int64_t column,
                                           float* out) {
  const int64_t columns = std::min<int64_t>(kChunks * 32, args.rank - column);
  __mmask32 valid[kChunks];
#pragma GCC unroll 2
  for (int c = 0; c < kChunks; ++c) {
    const int64_t left = std::clamp<int64_t>(columns - c * 32, 0, 32);
    valid[c] = static_cast<__mmask32>((1ULL << left) - 1ULL);
  }
  __m512 sum[kHeads][2 * kChunks];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 4
    for (int v = 0; v < 2 * kChunks; ++v) sum[h][v] = _mm512_setzero_ps();
  }
  const int64_t num_pairs = (args.count + 1) / 2;
  for (int64_t pair = 0; pair < num_pairs; ++pair) {
    const auto* first = static_cast<const Bf16*>(args.rows[2 * pair]) + column;
    const auto* second = static_cast<const Bf16*>(args.rows[2 * pair + 1]) + column;
    __m512i value[2 * kChunks];
#pragma GCC unroll 2
    for (int c = 0; c < kChunks; ++c) {
      const __m512i a = _mm512_maskz_loadu_epi16(valid[c], first + c * 32);
      const __m512i b = _mm512_maskz_loadu_epi16(valid[c], second + c * 32);
      value[2 * c] = _mm512_unpacklo_epi16(a, b);
      value[2 * c + 1] = _mm512_unpackhi_epi16(a, b);
    }
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) {
      const __m512i weight = _mm512_set1_epi32(p[h * stride + pair]);
#pragma GCC unroll 4
      for (int v = 0; v < 2 * kChunks; ++v) sum[h][v] = Dot2(sum[h][v], weight, value[v]);
    }
  }
  // Interleaving left columns 0-3 of every 8 in the even accumulator, 4-7 in the odd one.
  const __m512i low = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i high =
      _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
    const __m512 factor = _mm512_set1_ps(inverse[h]);
#pragma GCC unroll 2
    for (int c = 0; c < kChunks; ++c) {
      float* target = out + h * args.rank + column + c * 32;
      const __m512 even = _mm512_mul_ps(sum[h][2 * c], factor);
      const __m512 odd = _mm512_mul_ps(sum[h][2 * c + 1], factor);
      _mm512_mask_storeu_ps(target, static_cast<__mmask16>(valid[c]),
                            _mm512_permutex2var_ps(even, low, odd));
      _mm512_mask_storeu_ps(target + 16, static_cast<__mmask16>(valid[c] >> 16),
                            _mm512_permutex2var_ps(even, high, odd));
    }
  }
}

template <int kHeads>
LECTERN_TARGET_AVX512BF16 void AllColumns(const AttendQuery& args, const int32_t* p, int64_t stride,
                                          const float* inverse, float* out) {
  int64_t column = 0;
  for (; column + 64 <= args.rank; column += 64) {
    WeightedSum<kHeads, 2>(args, p, stride, inverse, column, out);
  }
  for (; column < args.rank; column += 32) {
    WeightedSum<kHeads, 1>(args, p, stride, inverse, column, out);
  }
}

// Calls Run<n>::Call for the n heads that are left.
template <typename Function6, typename Function1>
void ForHeads(int64_t heads, const Function6& six, const Function1& one) {
  int64_t head = 0;
  for (; head + kHeadGroup <= heads; head += kHeadGroup) six(head);
  for (; head < heads; ++head) one(head);
}

LECTERN_TARGET_AVX512BF16 float SoftmaxToBf16(float* scores, int64_t count) {
  const float inverse = SoftmaxNumerators<16>(scores, count);
  // In place: a bf16 row is half as long, and each vector is read before its place is written.
  auto* narrow = reinterpret_cast<Bf16*>(scores);
  for (int64_t i = 0; i < PaddedCount(count); i += 16) {
    const __m256bh value = _mm512_cvtneps_pbh(_mm512_loadu_ps(scores + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(narrow + i), reinterpret_cast<__m256i>(value));
  }
  return inverse;
}

}  // namespace

void AttendQueryAvx512Bf16(const AttendQuery& args) {
  const int64_t pairs = args.row / 2;
  const int64_t padded = PaddedCount(args.count);
  auto* scores = reinterpret_cast<float*>(args.scratch);                        // [heads, padded]
  auto* transposed = reinterpret_cast<int32_t*>(scores + args.heads * padded);  // [pairs, 64]
  auto* q = transposed + pairs * kScorePad;                                     // [heads, pairs]
  auto* inverse = reinterpret_cast<float*>(q + args.heads * pairs);             // [heads]
  for (int64_t h = 0; h < args.heads; ++h) {
    NarrowRowAvx512Bf16(args.q + h * args.row, args.row, reinterpret_cast<Bf16*>(q + h * pairs));
  }
  for (int64_t block = 0; block < padded; block += kScorePad) {
    const int64_t next = std::min(block + kScorePad, padded - kScorePad);
    GatherTransposed(args.rows + block, args.rows + next, pairs, transposed);
    const auto at = [&](int64_t head) { return scores + head * padded + block; };
    ForHeads(
        args.heads,
        [&](int64_t h) {
          Scores<kHeadGroup>(q + h * pairs, pairs, transposed, args.scale, at(h), padded);
        },
        [&](int64_t h) { Scores<1>(q + h * pairs, pairs, transposed, args.scale, at(h), padded); });
  }
  for (int64_t h = 0; h < args.heads; ++h) {
    inverse[h] = SoftmaxToBf16(scores + h * padded, args.count);
  }
  const auto p = [&](int64_t head) { return reinterpret_cast<int32_t*>(scores + head * padded); };
  ForHeads(
      args.heads,
      [&](int64_t h) {
        AllColumns<kHeadGroup>(args, p(h), padded, inverse + h, args.out + h * args.rank);
      },
      [&](int64_t h) { AllColumns<1>(args, p(h), padded, inverse + h, args.out + h * args.rank); });
}

}  // namespace lectern::kernels::cpu
#endif
