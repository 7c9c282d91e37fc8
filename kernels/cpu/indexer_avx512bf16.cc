// Indexer scores by vdpbf16ps. The page is stored so that a register holds one pair of elements of
// 16 keys; a tile is 4 registers of keys x up to 4 (query, head) rows: 16 products per 4 loads and
// 4 broadcasts.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/cpu/indexer.h"

namespace lectern::kernels::cpu {
namespace {

// kHeads consecutive heads of one query; adds their weighted, clipped products to `scores` in head
// order.
template <int kHeads>
LECTERN_TARGET_AVX512BF16 void ScoreHeads(const ScorePage& args, int64_t query, int64_t first_head,
                                          __m512 (&scores)[4]) {
  const int64_t pairs = args.dim / 2;
  const auto* q = static_cast<const int32_t*>(args.q) + (query * args.heads + first_head) * pairs;
  __m512 product[kHeads][4];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) product[h][v] = _mm512_setzero_ps();
  }
  for (int64_t d = 0; d < pairs; ++d) {
    __m512i key[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) key[v] = _mm512_loadu_si512(args.keys + d * 256 + v * 64);
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) {
      const __m512i value = _mm512_set1_epi32(q[h * pairs + d]);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        product[h][v] = _mm512_dpbf16_ps(product[h][v], reinterpret_cast<__m512bh>(value),
                                         reinterpret_cast<__m512bh>(key[v]));
      }
    }
  }
  const float* weights = args.weights.row(query) + first_head;
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
    const __m512 weight = _mm512_set1_ps(weights[h]);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      scores[v] =
          _mm512_fmadd_ps(_mm512_max_ps(product[h][v], _mm512_setzero_ps()), weight, scores[v]);
    }
  }
}

}  // namespace

LECTERN_TARGET_AVX512BF16 void ScorePageAvx512Bf16(const ScorePage& args) {
  for (int64_t query = 0; query < args.queries; ++query) {
    __m512 scores[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                        _mm512_setzero_ps()};
    int64_t head = 0;
    for (; head + 4 <= args.heads; head += 4) ScoreHeads<4>(args, query, head, scores);
    for (; head < args.heads; ++head) ScoreHeads<1>(args, query, head, scores);
    for (int v = 0; v < 4; ++v) {
      _mm512_storeu_ps(args.scores + query * args.score_stride + v * 16, scores[v]);
    }
  }
}

}  // namespace lectern::kernels::cpu
#endif
