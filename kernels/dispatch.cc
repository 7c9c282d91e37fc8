// Checks arguments once, then calls the CPU side. Shapes only: addresses inside pages are the
// caller's word.

#include <string>

#include "kernels/cpu/ops.h"

namespace lectern::kernels {
namespace {

absl::Status Check(bool condition, const char* message) {
  if (condition) return absl::OkStatus();
  return absl::InvalidArgumentError(message);
}

bool BatchFits(const BatchView& batch, int64_t tokens) {
  return static_cast<int64_t>(batch.positions.size()) == tokens &&
         static_cast<int64_t>(batch.sequences.size()) == tokens && batch.max_blocks > 0;
}

bool RopeFits(MatrixView<const float> cos, MatrixView<const float> sin, int64_t rows,
              int64_t dims) {
  return cos.rows == rows && sin.rows == rows && cos.cols == sin.cols && cos.cols * 2 == dims;
}

int64_t Size(std::span<const float> values) { return static_cast<int64_t>(values.size()); }

}  // namespace

absl::Status Embedding(const EmbeddingArgs& args, Stream& stream) {
  const int64_t width = args.bf16_table.data != nullptr ? args.bf16_table.cols : args.table.cols;
  const bool fits =
      static_cast<int64_t>(args.ids.size()) == args.out.rows && width == args.out.cols;
  if (fits) cpu::Embedding(args, stream);
  return Check(fits, "Embedding: ids, table and out disagree");
}

absl::Status RmsNorm(const RmsNormArgs& args, Stream& stream) {
  const bool fits = args.x.rows == args.out.rows && args.x.cols == args.out.cols &&
                    Size(args.weight) == args.x.cols;
  if (fits) cpu::RmsNorm(args, stream);
  return Check(fits, "RmsNorm: x, weight and out disagree");
}

absl::Status MatMul(const MatMulArgs& args, Stream& stream) {
  const bool fits = args.weight != nullptr && args.x.cols == args.weight->k() &&
                    args.out.cols == args.weight->n() && args.x.rows == args.out.rows &&
                    (args.bias.empty() || Size(args.bias) == args.out.cols) &&
                    (!args.weight->bf16() || stream.isa() == cpu::Isa::kAvx512Bf16);
  if (fits) cpu::MatMul(args, stream);
  return Check(fits, "MatMul: x, weight, bias and out disagree, or a bf16 weight without its path");
}

absl::Status HeadMatMul(const HeadMatMulArgs& args, Stream& stream) {
  bool fits = !args.weights.empty() && args.x.rows == args.out.rows;
  for (const PackedMatrix& weight : args.weights) {
    fits = fits && weight.n() == args.weights[0].n() && weight.k() == args.weights[0].k();
  }
  if (fits) {
    const auto last = static_cast<int64_t>(args.weights.size()) - 1;
    fits = last * args.x_head_stride + args.weights[0].k() <= args.x.cols &&
           last * args.out_head_stride + args.weights[0].n() <= args.out.cols;
  }
  if (fits) cpu::HeadMatMul(args, stream);
  return Check(fits, "HeadMatMul: x, weights and out disagree");
}

absl::Status Rope(const RopeArgs& args, Stream& stream) {
  const bool fits = RopeFits(args.cos, args.sin, args.x.rows, args.dims) &&
                    args.x.rows == args.out.rows &&
                    (args.num_heads - 1) * args.x_head_stride + args.dims <= args.x.cols &&
                    (args.num_heads - 1) * args.out_head_stride + args.dims <= args.out.cols;
  if (fits) cpu::Rope(args, stream);
  return Check(fits, "Rope: x, heads and tables disagree");
}

absl::Status LatentWrite(const LatentWriteArgs& args, Stream& stream) {
  const bool fits = BatchFits(args.batch, args.kv.rows) && args.pages.row == args.kv.cols &&
                    RopeFits(args.cos, args.sin, args.kv.rows, args.kv.cols - Size(args.weight));
  if (fits) cpu::LatentWrite(args, stream);
  return Check(fits, "LatentWrite: kv, weight, tables, batch and pages disagree");
}

absl::Status IndexKeyWrite(const IndexKeyWriteArgs& args, Stream& stream) {
  const bool fits = BatchFits(args.batch, args.key.rows) && args.pages.row == args.key.cols &&
                    Size(args.weight) == args.key.cols && Size(args.bias) == args.key.cols &&
                    args.cos.cols * 2 <= args.key.cols &&
                    RopeFits(args.cos, args.sin, args.key.rows, args.cos.cols * 2) &&
                    (!args.pages.bf16 || args.key.cols % 2 == 0);
  if (fits) cpu::IndexKeyWrite(args, stream);
  return Check(fits, "IndexKeyWrite: key, norm, tables, batch and pages disagree");
}

absl::Status IndexerTopk(const IndexerTopkArgs& args, Stream& stream) {
  const bool fits = BatchFits(args.batch, args.q.rows) && args.weights.rows == args.q.rows &&
                    args.q.cols == args.weights.cols * args.pages.row && args.topk > 0 &&
                    args.indices.rows == args.q.rows &&
                    static_cast<int64_t>(args.counts.size()) == args.q.rows;
  if (fits) cpu::IndexerTopk(args, stream);
  return Check(fits, "IndexerTopk: q, weights, batch, pages and indices disagree");
}

absl::Status SparseAttention(const SparseAttentionArgs& args, Stream& stream) {
  const bool fits = BatchFits(args.batch, args.q.rows) &&
                    args.q.cols == args.num_heads * args.pages.row &&
                    args.out.cols == args.num_heads * args.rank && args.rank <= args.pages.row &&
                    args.out.rows == args.q.rows && args.indices.rows == args.q.rows &&
                    static_cast<int64_t>(args.counts.size()) == args.q.rows;
  if (fits) cpu::SparseAttention(args, stream);
  return Check(fits, "SparseAttention: q, heads, batch, pages, indices and out disagree");
}

absl::Status Swiglu(const SwigluArgs& args, Stream& stream) {
  const bool fits = args.x.rows == args.out.rows && args.x.cols == 2 * args.out.cols;
  if (fits) cpu::Swiglu(args, stream);
  return Check(fits, "Swiglu: x and out disagree");
}

absl::Status DenseMlp(const DenseMlpArgs& args, Stream& stream) {
  const bool fits = args.gate_up != nullptr && args.down != nullptr &&
                    args.x.rows == args.out.rows && args.x.cols == args.gate_up->k() &&
                    args.gate_up->n() == 2 * args.down->k() && args.down->n() == args.out.cols &&
                    (!args.down->bf16() || stream.isa() == cpu::Isa::kAvx512Bf16);
  if (fits) cpu::DenseMlp(args, stream);
  return Check(fits, "DenseMlp: x, weights and out disagree");
}

absl::Status Route(const RouteArgs& args, Stream& stream) {
  const int64_t experts = args.logits.cols;
  const bool fits =
      Size(args.bias) == experts && args.num_groups > 0 && experts % args.num_groups == 0 &&
      args.topk_group > 0 && args.topk_group <= args.num_groups && args.topk > 0 &&
      args.topk <= experts / args.num_groups * args.topk_group &&
      args.experts.rows == args.logits.rows && args.weights.rows == args.logits.rows &&
      args.experts.cols == args.topk && args.weights.cols == args.topk;
  if (fits) cpu::Route(args, stream);
  return Check(fits, "Route: experts, groups and outputs disagree");
}

}  // namespace lectern::kernels
