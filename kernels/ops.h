#pragma once
// Every operator of the forward pass. All are synchronous and run on the Stream's whole team; none
// allocates anything that grows with the context. Activations are float32; what is rounded to
// bfloat16 is said at each operator. For one Stream path every output row has the same bits
// whatever other rows are in the call (batch invariance): rows are reduced in an order that depends
// on the row alone.
//
// Errors: InvalidArgument where shapes disagree (the message names the operator).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "kernels/packed_matrix.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace lectern::kernels {

// How the tokens of a step lie in sequences and pages. Spans are indexed by token but for
// block_tables.
struct BatchView {
  std::span<const int32_t> positions;     // [num_tokens] position in its sequence
  std::span<const int32_t> sequences;     // [num_tokens] row of block_tables
  std::span<const int32_t> block_tables;  // [num_seqs, max_blocks] page ids
  int64_t max_blocks = 0;
};

// One layer's segment of every page: page p's begins at base + p * page_stride.
struct PagedSegment {
  std::byte* base = nullptr;
  int64_t page_stride = 0;  // bytes
  int64_t row = 0;          // elements of one token's row
  bool bf16 = false;        // else float32
};

// out[t] = table[ids[t]]. Ids must be in range.
struct EmbeddingArgs {
  std::span<const int32_t> ids;
  MatrixView<const float> table;  // [vocab, hidden]; empty where bf16_table is given
  MatrixView<const Bf16> bf16_table;
  MatrixView<float> out;  // [num_tokens, hidden]
};
absl::Status Embedding(const EmbeddingArgs& args, Stream& stream);

// out = x / sqrt(mean(x^2) + eps) * weight, row by row. May run in place.
struct RmsNormArgs {
  MatrixView<const float> x;
  std::span<const float> weight;  // [cols]
  float eps = 0;
  MatrixView<float> out;
};
absl::Status RmsNorm(const RmsNormArgs& args, Stream& stream);

// out[m, n] (+)= sum_k x[m, k] * weight[n, k] + bias[n]. x is rounded to the weight's dtype, sums
// are float32, over k in ascending order.
struct MatMulArgs {
  MatrixView<const float> x;  // [rows, k]
  const PackedMatrix* weight = nullptr;
  std::span<const float> bias;  // [n] or empty
  bool accumulate = false;      // add to what `out` holds
  MatrixView<float> out;        // [rows, n]
};
absl::Status MatMul(const MatMulArgs& args, Stream& stream);

// One product per head: out[t, h] = x[t, h] * weights[h]^T, heads `x_head_stride` elements apart.
struct HeadMatMulArgs {
  MatrixView<const float> x;  // [rows, >= (heads - 1) * x_head_stride + k]
  int64_t x_head_stride = 0;
  std::span<const PackedMatrix> weights;  // [heads], all [n, k]
  MatrixView<float> out;
  int64_t out_head_stride = 0;
};
absl::Status HeadMatMul(const HeadMatMulArgs& args, Stream& stream);

// RoPE on `dims` elements of each head, from x at head * x_head_stride to out at head *
// out_head_stride; may run in place. Pair j is (2j, 2j + 1) when interleaved, (j, j + dims / 2)
// otherwise; a pair stays where it is.
struct RopeArgs {
  MatrixView<const float> x;
  int64_t x_head_stride = 0;
  MatrixView<float> out;
  int64_t out_head_stride = 0;
  int64_t num_heads = 1;
  int64_t dims = 0;
  bool interleaved = true;
  MatrixView<const float> cos;  // [rows, dims / 2]
  MatrixView<const float> sin;
};
absl::Status Rope(const RopeArgs& args, Stream& stream);

// Writes each token's latent row: RMSNorm(kv[:, :rank]) then RoPE(kv[:, rank:]), interleaved.
struct LatentWriteArgs {
  MatrixView<const float> kv;     // [num_tokens, rank + rope]
  std::span<const float> weight;  // [rank]
  float eps = 0;
  MatrixView<const float> cos;
  MatrixView<const float> sin;
  BatchView batch;
  PagedSegment pages;  // row = rank + rope; page = [token][element]
};
absl::Status LatentWrite(const LatentWriteArgs& args, Stream& stream);

// Writes each token's indexer key: LayerNorm with bias, then RoPE on the first `rope_dims`.
// A page of keys is stored [row / lane][token][lane], lane = elements in 4 bytes, so that a vector
// register takes one element of 16 tokens at once when scores are computed.
struct IndexKeyWriteArgs {
  MatrixView<const float> key;    // [num_tokens, index_head_dim]
  std::span<const float> weight;  // [index_head_dim]
  std::span<const float> bias;
  float eps = 0;
  bool interleaved = true;
  MatrixView<const float> cos;
  MatrixView<const float> sin;
  BatchView batch;
  PagedSegment pages;
};
absl::Status IndexKeyWrite(const IndexKeyWriteArgs& args, Stream& stream);

// Lightning indexer and exact top-k of every token over the keys it sees (its own included).
//   score[t, s] = sum_h weights[t, h] * max(q[t, h] . k[s], 0), float32
// Source: DeepSeek-V3.2 report, indexer equation; positive constants are folded into `weights`.
// Chosen: the k highest scores, of equal ones the lower position; all keys where k or fewer are
// visible (no score is computed then).
struct IndexerTopkArgs {
  MatrixView<const float> q;  // [num_tokens, heads * index_head_dim]; bf16 where the pages are
  MatrixView<const float> weights;  // [num_tokens, heads]
  BatchView batch;
  PagedSegment pages;
  int64_t topk = 0;
  MatrixView<int32_t> indices;  // [num_tokens, >= min(topk, longest kv)] ascending positions; the
                                // rest is left alone
  std::span<int32_t> counts;    // [num_tokens] how many were chosen
};
absl::Status IndexerTopk(const IndexerTopkArgs& args, Stream& stream);

// Absorbed MLA over the chosen rows: p = softmax(scale * q . row), out = sum p * row[:rank], per
// head. Source: DeepSeek-V2 report, section 2.1 (weight absorption). Blocks of the selection, in
// its order.
struct SparseAttentionArgs {
  MatrixView<const float>
      q;  // [num_tokens, heads * row]: absorbed nope part, then rotated rope part
  int64_t num_heads = 0;
  int64_t rank = 0;
  float scale = 0;
  BatchView batch;
  PagedSegment pages;
  MatrixView<const int32_t> indices;  // as IndexerTopk wrote them
  std::span<const int32_t> counts;
  MatrixView<float> out;  // [num_tokens, heads * rank]
};
absl::Status SparseAttention(const SparseAttentionArgs& args, Stream& stream);

// out = silu(x[:, :n]) * x[:, n:], n = out.cols. May run in place on the first half.
struct SwigluArgs {
  MatrixView<const float> x;  // [rows, 2 n]
  MatrixView<float> out;      // [rows, n]
};
absl::Status Swiglu(const SwigluArgs& args, Stream& stream);

// Dense SwiGLU feed-forward added to the residual: out += down(silu(gate x) * up x). Rows go
// through in blocks, so that the wide intermediate stays in cache.
struct DenseMlpArgs {
  MatrixView<const float> x;              // [rows, hidden]
  const PackedMatrix* gate_up = nullptr;  // [2 * width, hidden], gate first
  const PackedMatrix* down = nullptr;     // [hidden, width]
  MatrixView<float> out;                  // [rows, hidden], added to
};
absl::Status DenseMlp(const DenseMlpArgs& args, Stream& stream);

// Sigmoid router with group limit. Choice by score + bias; groups outside the `topk_group` best (by
// the sum of their two best) are out; weights from the scores alone, normalised over the chosen
// when asked, times `scale`. Of equal choices the lower expert. Source: DeepSeek-V3 report,
// section 2.1.2.
struct RouteArgs {
  MatrixView<const float> logits;  // [num_tokens, experts]
  std::span<const float> bias;     // [experts]
  int num_groups = 1;
  int topk_group = 1;
  int topk = 1;
  bool normalize = true;
  float scale = 1;
  MatrixView<int32_t> experts;  // [num_tokens, topk], ascending
  MatrixView<float> weights;    // [num_tokens, topk]
};
absl::Status Route(const RouteArgs& args, Stream& stream);

}  // namespace lectern::kernels
