// Sharing of matrix products among the team: by rows where there are many, by panels where there
// are few.

#include <algorithm>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/swiglu.h"

namespace lectern::kernels::cpu {
namespace {

// From here on each thread takes rows of its own and reads the whole weight; below, each thread
// reads its part of the weight, which is what a decode step waits for.
constexpr int64_t kMinRowsToSplit = 2 * kBlockRows;

// Rows [begin, end) x panels [first, last) of one product.
void MatMulShare(const MatMulArgs& args, int64_t begin, int64_t end, int64_t first_panel,
                 int64_t last_panel, Isa isa, std::byte* scratch) {
  const MatMulBlockFn run = SelectMatMul(isa, args.weight->bf16());
  for (int64_t row = begin; row < end; row += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, end - row);
    ConvertRows(args.x, row, rows, *args.weight, isa, scratch);
    run({.x = scratch,
         .rows = rows,
         .weight = args.weight,
         .first_panel = first_panel,
         .last_panel = last_panel,
         .bias = args.bias.empty() ? nullptr : args.bias.data(),
         .accumulate = args.accumulate,
         .out = args.out.row(row),
         .out_stride = args.out.stride});
  }
}

}  // namespace

void MatMul(const MatMulArgs& args, Stream& stream) {
  const int64_t scratch_bytes = BlockBytes(*args.weight);
  if (args.x.rows >= kMinRowsToSplit) {
    stream.pool().ParallelFor(args.x.rows, 6, [&](int64_t begin, int64_t end, int thread) {
      MatMulShare(args, begin, end, 0, args.weight->num_panels(), stream.isa(),
                  stream.Scratch(thread, scratch_bytes));
    });
    return;
  }
  stream.pool().ParallelFor(args.weight->num_panels(), 4,
                            [&](int64_t begin, int64_t end, int thread) {
                              MatMulShare(args, 0, args.x.rows, begin, end, stream.isa(),
                                          stream.Scratch(thread, scratch_bytes));
                            });
}

void HeadMatMul(const HeadMatMulArgs& args, Stream& stream) {
  const auto heads = static_cast<int64_t>(args.weights.size());
  const PackedMatrix& any = args.weights[0];
  const auto head = [&](int64_t h, int64_t begin, int64_t end, int thread) {
    const MatMulArgs product{.x = args.x.columns(h * args.x_head_stride, any.k()),
                             .weight = &args.weights[static_cast<size_t>(h)],
                             .bias = {},
                             .accumulate = false,
                             .out = args.out.columns(h * args.out_head_stride, any.n())};
    MatMulShare(product, begin, end, 0, any.num_panels(), stream.isa(),
                stream.Scratch(thread, BlockBytes(any)));
  };
  if (args.x.rows >= kMinRowsToSplit) {
    stream.pool().ParallelFor(args.x.rows, 6, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t h = 0; h < heads; ++h) head(h, begin, end, thread);
    });
    return;
  }
  stream.pool().ParallelFor(heads, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t h = begin; h < end; ++h) head(h, 0, args.x.rows, thread);
  });
}

void DenseMlp(const DenseMlpArgs& args, Stream& stream) {
  const int64_t wide = args.gate_up->n();
  const int64_t width = wide / 2;
  const int64_t block_bytes = std::max(BlockBytes(*args.gate_up), BlockBytes(*args.down));
  const int64_t wide_bytes = kBlockRows * wide * 4;
  if (args.x.rows >= kMinRowsToSplit) {
    stream.pool().ParallelFor(args.x.rows, 6, [&](int64_t begin, int64_t end, int thread) {
      std::byte* scratch = stream.Scratch(thread, wide_bytes + block_bytes);
      auto* hidden = reinterpret_cast<float*>(scratch);
      for (int64_t row = begin; row < end; row += kBlockRows) {
        const int64_t rows = std::min(kBlockRows, end - row);
        const MatrixView<float> both{hidden, rows, wide, wide};
        const MatrixView<const float> x{args.x.row(row), rows, args.x.cols, args.x.stride};
        MatMulShare({.x = x, .weight = args.gate_up, .bias = {}, .out = both}, 0, rows, 0,
                    args.gate_up->num_panels(), stream.isa(), scratch + wide_bytes);
        SwigluRows(both, both.columns(0, width), 0, rows, stream.isa());
        const MatrixView<float> out{args.out.row(row), rows, args.out.cols, args.out.stride};
        MatMulShare({.x = both.columns(0, width),
                     .weight = args.down,
                     .bias = {},
                     .accumulate = true,
                     .out = out},
                    0, rows, 0, args.down->num_panels(), stream.isa(), scratch + wide_bytes);
      }
    });
    return;
  }
  // Few rows (fewer than kMinRowsToSplit): the intermediate is small enough for thread 0's scratch,
  // but MatMul uses the start of every thread's, so it lies in a buffer of its own.
  const MatrixView<float> both = stream.Shared(args.x.rows, wide);
  cpu::MatMul({.x = args.x, .weight = args.gate_up, .bias = {}, .out = both}, stream);
  cpu::Swiglu({.x = both, .out = both.columns(0, width)}, stream);
  cpu::MatMul({.x = both.columns(0, width),
               .weight = args.down,
               .bias = {},
               .accumulate = true,
               .out = args.out},
              stream);
}

}  // namespace lectern::kernels::cpu
