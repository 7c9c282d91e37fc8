#pragma once
// SwiGLU on some rows, for the operators that run it inside a region of their own.

#include "kernels/cpu/isa.h"
#include "kernels/tensor.h"

namespace lectern::kernels::cpu {

// out[r] = silu(x[r, :n]) * x[r, n:] for rows [begin, end), n = out.cols; `out` may be x's first
// half.
void SwigluRows(MatrixView<const float> x, MatrixView<float> out, int64_t begin, int64_t end,
                Isa isa);

}  // namespace lectern::kernels::cpu
