// Operators that treat each row by itself: embedding, RMSNorm, RoPE.

#include "kernels/cpu/norm.h"
#include "kernels/cpu/ops.h"

namespace lectern::kernels::cpu {

void Embedding(const EmbeddingArgs& args, Stream&) {
  for (int64_t t = 0; t < args.out.rows; ++t) {
    const int32_t id = args.ids[static_cast<size_t>(t)];
    float* out = args.out.row(t);
    if (args.bf16_table.data != nullptr) {
      const Bf16* row = args.bf16_table.row(id);
      for (int64_t i = 0; i < args.out.cols; ++i) out[i] = ToFloat(row[i]);
    } else {
      const float* row = args.table.row(id);
      std::copy(row, row + args.out.cols, out);
    }
  }
}

void RmsNorm(const RmsNormArgs& args, Stream& stream) {
  // A region costs as much as about sixteen rows.
  stream.pool().ParallelFor(args.x.rows, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      RmsNormRow(args.x.row(r), args.weight.data(), args.eps, args.x.cols, args.out.row(r));
    }
  });
}

void Rope(const RopeArgs& args, Stream& stream) {
  stream.pool().ParallelFor(args.x.rows, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < args.num_heads; ++h) {
        RopeRow(args.x.row(r) + h * args.x_head_stride, args.dims, args.interleaved,
                args.cos.row(r), args.sin.row(r), args.out.row(r) + h * args.out_head_stride);
      }
    }
  });
}

}  // namespace lectern::kernels::cpu
