#include "kernels/cpu/matmul.h"

#include <algorithm>

#include "kernels/cpu/simd.h"

namespace lectern::kernels::cpu {
namespace {

// kRows x kPanels panels of 16, lanes of 4, 8 or 16.
template <int kLanes, int kRows, int kPanels>
LECTERN_INLINE void Tile(const MatMulBlock& block, int64_t first_row, int64_t first_panel) {
  using F32 = typename Lanes<kLanes>::F32;
  constexpr int kVectors = kPanels * (kPanel / kLanes);
  const int64_t depth = block.weight->k();
  const float* x = static_cast<const float*>(block.x) + first_row * depth;
  const float* panels = reinterpret_cast<const float*>(block.weight->panel(first_panel));
  const int64_t panel_stride = depth * kPanel;

  F32 sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sum[r][v] = F32{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    F32 column[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const int64_t lane = v * kLanes;
      LoadVector(column[v], panels + lane / kPanel * panel_stride + k * kPanel + lane % kPanel);
    }
    for (int r = 0; r < kRows; ++r) {
      const float value = x[r * depth + k];
      for (int v = 0; v < kVectors; ++v) sum[r][v] += column[v] * value;
    }
  }

  const int64_t columns = block.weight->n();
  for (int r = 0; r < kRows; ++r) {
    float* out = block.out + (first_row + r) * block.out_stride;
    for (int v = 0; v < kVectors; ++v) {
      const int64_t n = first_panel * kPanel + v * kLanes;
      float lane[kLanes];
      StoreVector(lane, sum[r][v]);
      for (int64_t i = 0; i < std::min<int64_t>(kLanes, columns - n); ++i) {
        float value = lane[i];
        if (block.bias != nullptr) value += block.bias[n + i];
        out[n + i] = block.accumulate ? out[n + i] + value : value;
      }
    }
  }
}

template <int kLanes, int kMaxRows, int kPanels>
LECTERN_INLINE void PanelGroup(const MatMulBlock& block, int64_t first_panel) {
  int64_t row = 0;
  for (; row + kMaxRows <= block.rows; row += kMaxRows) {
    Tile<kLanes, kMaxRows, kPanels>(block, row, first_panel);
  }
  for (; row < block.rows; ++row) Tile<kLanes, 1, kPanels>(block, row, first_panel);
}

template <int kLanes, int kMaxRows, int kMaxPanels>
LECTERN_INLINE void Block(const MatMulBlock& block) {
  int64_t panel = block.first_panel;
  for (; panel + kMaxPanels <= block.last_panel; panel += kMaxPanels) {
    PanelGroup<kLanes, kMaxRows, kMaxPanels>(block, panel);
  }
  for (; panel < block.last_panel; ++panel) PanelGroup<kLanes, kMaxRows, 1>(block, panel);
}

void BlockGeneric(const MatMulBlock& block) { Block<4, 3, 1>(block); }
LECTERN_TARGET_AVX2 void BlockAvx2(const MatMulBlock& block) { Block<8, 6, 1>(block); }
LECTERN_TARGET_AVX512 void BlockAvx512(const MatMulBlock& block) { Block<16, 6, 4>(block); }

}  // namespace

MatMulBlockFn SelectMatMul(Isa isa, bool bf16_weight) {
#if defined(__x86_64__)
  if (bf16_weight) return MatMulBlockAvx512Bf16;
#endif
  switch (isa) {
    case Isa::kGeneric:
      return BlockGeneric;
    case Isa::kAvx2:
      return BlockAvx2;
    case Isa::kAvx512:
    case Isa::kAvx512Bf16:
      return BlockAvx512;
  }
  return BlockGeneric;
}

void ConvertRows(MatrixView<const float> x, int64_t first_row, int64_t rows,
                 const PackedMatrix& weight, Isa isa, void* block) {
  const int64_t depth = weight.padded_k();
  for (int64_t r = 0; r < rows; ++r) {
    const float* source = x.row(first_row + r);
    if (!weight.bf16()) {
      std::copy(source, source + weight.k(), static_cast<float*>(block) + r * depth);
      continue;
    }
    Bf16* target = static_cast<Bf16*>(block) + r * depth;
    target[depth - 1] = Bf16{};
    NarrowRow(source, weight.k(), isa, target);
  }
}

void NarrowRow(const float* source, int64_t size, Isa isa, Bf16* out) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512Bf16) return NarrowRowAvx512Bf16(source, size, out);
#endif
  for (int64_t i = 0; i < size; ++i) out[i] = ToBf16(source[i]);
}

}  // namespace lectern::kernels::cpu
