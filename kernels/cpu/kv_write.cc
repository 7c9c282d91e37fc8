// Writers of cache rows. Each token's row depends on that token alone, so a page holds the same
// bytes whichever step wrote it.

#include "kernels/cpu/norm.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/pages.h"

namespace lectern::kernels::cpu {
namespace {

template <typename T>
void WriteLatent(const LatentWriteArgs& args, int64_t token, float* row) {
  const auto rank = static_cast<int64_t>(args.weight.size());
  const int64_t rope = args.kv.cols - rank;
  RmsNormRow(args.kv.row(token), args.weight.data(), args.eps, rank, row);
  RopeRow(args.kv.row(token) + rank, rope, true, args.cos.row(token), args.sin.row(token),
          row + rank);
  const auto at = static_cast<size_t>(token);
  const int64_t position = args.batch.positions[at];
  T* out = RowAt<T>(args.pages, PageOf(args.batch, args.batch.sequences[at], position), position);
  for (int64_t i = 0; i < args.kv.cols; ++i) NarrowElement(row[i], out + i);
}

template <typename T>
void WriteIndexKey(const IndexKeyWriteArgs& args, int64_t token, float* row) {
  LayerNormRow(args.key.row(token), args.weight.data(), args.bias.data(), args.eps, args.key.cols,
               row);
  RopeRow(row, args.cos.cols * 2, args.interleaved, args.cos.row(token), args.sin.row(token), row);
  const auto at = static_cast<size_t>(token);
  const int64_t position = args.batch.positions[at];
  std::byte* segment =
      SegmentOf(args.pages, PageOf(args.batch, args.batch.sequences[at], position));
  for (int64_t i = 0; i < args.key.cols; ++i) {
    NarrowElement(row[i], KeyElementAt<T>(segment, i, position % kPageSize));
  }
}

}  // namespace

void LatentWrite(const LatentWriteArgs& args, Stream& stream) {
  const auto write = args.pages.bf16 ? WriteLatent<Bf16> : WriteLatent<float>;
  stream.pool().ParallelFor(args.kv.rows, 16, [&](int64_t begin, int64_t end, int thread) {
    auto* row = reinterpret_cast<float*>(stream.Scratch(thread, args.kv.cols * 4));
    for (int64_t t = begin; t < end; ++t) write(args, t, row);
  });
}

void IndexKeyWrite(const IndexKeyWriteArgs& args, Stream& stream) {
  const auto write = args.pages.bf16 ? WriteIndexKey<Bf16> : WriteIndexKey<float>;
  stream.pool().ParallelFor(args.key.rows, 16, [&](int64_t begin, int64_t end, int thread) {
    auto* row = reinterpret_cast<float*>(stream.Scratch(thread, args.key.cols * 4));
    for (int64_t t = begin; t < end; ++t) write(args, t, row);
  });
}

}  // namespace lectern::kernels::cpu
