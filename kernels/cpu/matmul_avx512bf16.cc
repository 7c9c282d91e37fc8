// bf16 matrix product by vdpbf16ps. See matmul.h for the tiling.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "kernels/cpu/matmul.h"

namespace lectern::kernels::cpu {
namespace {

// Pairs of k (4 bytes) are the unit here.
template <int kRows, int kPanels>
LECTERN_TARGET_AVX512BF16 void Tile(const MatMulBlock& block, int64_t first_row,
                                    int64_t first_panel) {
  const int64_t pairs = block.weight->padded_k() / 2;
  const auto* x = static_cast<const int32_t*>(block.x) + first_row * pairs;
  const std::byte* panels = block.weight->panel(first_panel);
  const int64_t panel_bytes = block.weight->panel_bytes();

  __m512 sum[kRows][kPanels];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) sum[r][p] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < pairs; ++k) {
    __m512i column[kPanels];
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) {
      column[p] = _mm512_load_si512(panels + p * panel_bytes + k * 64);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512i value = _mm512_set1_epi32(x[r * pairs + k]);
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) {
        sum[r][p] = _mm512_dpbf16_ps(sum[r][p], reinterpret_cast<__m512bh>(value),
                                     reinterpret_cast<__m512bh>(column[p]));
      }
    }
  }

  const int64_t columns = block.weight->n();
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* out = block.out + (first_row + r) * block.out_stride;
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) {
      const int64_t n = (first_panel + p) * kPanel;
      const auto valid =
          static_cast<__mmask16>((1U << std::min<int64_t>(kPanel, columns - n)) - 1U);
      __m512 value = sum[r][p];
      if (block.bias != nullptr) {
        value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(valid, block.bias + n));
      }
      if (block.accumulate) value = _mm512_add_ps(_mm512_maskz_loadu_ps(valid, out + n), value);
      _mm512_mask_storeu_ps(out + n, valid, value);
    }
  }
}

template <int kPanels>
LECTERN_TARGET_AVX512BF16 void PanelGroup(const MatMulBlock& block, int64_t panel) {
  int64_t row = 0;
  for (; row + 6 <= block.rows; row += 6) Tile<6, kPanels>(block, row, panel);
  switch (block.rows - row) {
    case 1:
      return Tile<1, kPanels>(block, row, panel);
    case 2:
      return Tile<2, kPanels>(block, row, panel);
    case 3:
      return Tile<3, kPanels>(block, row, panel);
    case 4:
      return Tile<4, kPanels>(block, row, panel);
    case 5:
      return Tile<5, kPanels>(block, row, panel);
    default:
      return;
  }
}

}  // namespace

LECTERN_TARGET_AVX512BF16 void MatMulBlockAvx512Bf16(const MatMulBlock& block) {
  int64_t panel = block.first_panel;
  for (; panel + 4 <= block.last_panel; panel += 4) PanelGroup<4>(block, panel);
  switch (block.last_panel - panel) {
    case 1:
      return PanelGroup<1>(block, panel);
    case 2:
      return PanelGroup<2>(block, panel);
    case 3:
      return PanelGroup<3>(block, panel);
    default:
      return;
  }
}

LECTERN_TARGET_AVX512BF16 void NarrowRowAvx512Bf16(const float* source, int64_t size, Bf16* out) {
  int64_t i = 0;
  for (; i + 32 <= size; i += 32) {
    const __m512bh narrow =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(source + i + 16), _mm512_loadu_ps(source + i));
    _mm512_storeu_si512(out + i, reinterpret_cast<__m512i>(narrow));
  }
  for (; i < size; i += 16) {
    const auto valid = static_cast<__mmask16>((1U << std::min<int64_t>(16, size - i)) - 1U);
    const __m256bh narrow = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(valid, source + i));
    _mm256_mask_storeu_epi16(out + i, valid, reinterpret_cast<__m256i>(narrow));
  }
}

}  // namespace lectern::kernels::cpu
#endif
