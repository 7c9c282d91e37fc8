#pragma once
// Matrix product of a block of rows with some panels of a packed weight.
//
// Tiling: a block is at most kBlockRows rows, converted once to the weight's dtype into scratch
// that stays in L1/L2; tiles of up to 6 rows x 4 panels (24 accumulators of the 32 registers) run
// over the whole of k. Every output element is one chain of additions over ascending k from zero,
// so neither the tile's shape nor the block's size shows in the bits. Limit: 2 x 512-bit products a
// cycle (vdpbf16ps: 64 multiply-adds, about 470 GFLOP/s a core at 3.7 GHz); below 6 rows, the
// bandwidth of the weight's bytes.

#include <cstdint>

#include "kernels/cpu/isa.h"
#include "kernels/packed_matrix.h"

namespace lectern::kernels::cpu {

inline constexpr int64_t kBlockRows = 48;

// One block: `rows` <= kBlockRows.
struct MatMulBlock {
  const void* x = nullptr;  // [rows, padded_k] of the weight's dtype, contiguous
  int64_t rows = 0;
  const PackedMatrix* weight = nullptr;
  int64_t first_panel = 0;
  int64_t last_panel = 0;       // exclusive
  const float* bias = nullptr;  // [n] or null
  bool accumulate = false;
  float* out = nullptr;  // row 0, column 0 of the whole product
  int64_t out_stride = 0;
};
using MatMulBlockFn = void (*)(const MatMulBlock& block);

// Never null: a bf16 weight needs Isa::kAvx512Bf16, as the caller has seen to.
MatMulBlockFn SelectMatMul(Isa isa, bool bf16_weight);

void MatMulBlockAvx512Bf16(const MatMulBlock& block);

// Copies `rows` rows of x into `block` in the weight's dtype, zero where k is padded.
void ConvertRows(MatrixView<const float> x, int64_t first_row, int64_t rows,
                 const PackedMatrix& weight, Isa isa, void* block);
// Rounds to bf16 by the path's own instruction where it has one.
void NarrowRow(const float* source, int64_t size, Isa isa, Bf16* out);
void NarrowRowAvx512Bf16(const float* source, int64_t size, Bf16* out);
inline int64_t BlockBytes(const PackedMatrix& weight) { return kBlockRows * weight.padded_k() * 4; }

}  // namespace lectern::kernels::cpu
