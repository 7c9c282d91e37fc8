// Lightning indexer: scores by pages, then exact top-k, query by query.
//
// Queries of one sequence go in blocks; a block's scores ([queries, context] float32) are the only
// thing that grows with the context (8 x 64K x 4 = 2 MiB a thread), carved once for the longest
// met. Each score is one chain over the key's elements, then one over the heads, both ascending: it
// depends on query and key alone.

#include "kernels/cpu/indexer.h"

#include <algorithm>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/pages.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/topk.h"

namespace lectern::kernels::cpu {
namespace {

constexpr int64_t kQueryBlock = 8;

// 64 keys x one query x one head at a time.
template <int kLanes, typename T>
LECTERN_INLINE void ScorePageVectors(const ScorePage& args) {
  using F32 = typename Lanes<kLanes>::F32;
  constexpr int64_t kLane = 4 / sizeof(T);
  float key[kPageSize];
  for (int64_t query = 0; query < args.queries; ++query) {
    const T* q = static_cast<const T*>(args.q) + query * args.heads * args.dim;
    float* scores = args.scores + query * args.score_stride;
    std::fill(scores, scores + kPageSize, 0.0F);
    for (int64_t h = 0; h < args.heads; ++h) {
      F32 product[kPageSize / kLanes] = {};
      for (int64_t d = 0; d < args.dim; ++d) {
        const T* column = reinterpret_cast<const T*>(args.keys) + d / kLane * kPageSize * kLane;
        for (int64_t s = 0; s < kPageSize; ++s) {
          key[s] = WidenElement(column[s * kLane + d % kLane]);
        }
        const float value = WidenElement(q[h * args.dim + d]);
        for (int v = 0; v < kPageSize / kLanes; ++v) {
          F32 k;
          LoadVector(k, key + v * kLanes);
          product[v] += k * value;
        }
      }
      const float weight = args.weights.row(query)[h];
      for (int v = 0; v < kPageSize / kLanes; ++v) {
        F32 sum;
        LoadVector(sum, scores + v * kLanes);
        sum += (product[v] > 0.0F ? product[v] : F32{}) * weight;
        StoreVector(scores + v * kLanes, sum);
      }
    }
  }
}

template <typename T>
void ScoreGeneric(const ScorePage& args) {
  ScorePageVectors<4, T>(args);
}
template <typename T>
LECTERN_TARGET_AVX2 void ScoreAvx2(const ScorePage& args) {
  ScorePageVectors<8, T>(args);
}
template <typename T>
LECTERN_TARGET_AVX512 void ScoreAvx512(const ScorePage& args) {
  ScorePageVectors<16, T>(args);
}

template <typename T>
ScorePageFn SelectVectors(Isa isa) {
  if (isa >= Isa::kAvx512) return ScoreAvx512<T>;
  return isa == Isa::kAvx2 ? ScoreAvx2<T> : ScoreGeneric<T>;
}

// Consecutive tokens of one sequence, at most kQueryBlock.
struct QueryBlock {
  int64_t first = 0;
  int64_t count = 0;
};

int64_t Visible(const IndexerTopkArgs& args, int64_t token) {
  return int64_t{args.batch.positions[static_cast<size_t>(token)]} + 1;
}

int64_t NumPages(const IndexerTopkArgs& args, QueryBlock block) {
  return (Visible(args, block.first + block.count - 1) + kPageSize - 1) / kPageSize;
}

int64_t QueryBytes(const IndexerTopkArgs& args) { return kQueryBlock * args.q.cols * 4; }

// Scores of the block against the keys of pages [begin, end); [count, stride]. `q` is QueryBytes of
// scratch.
void ScoreBlock(const IndexerTopkArgs& args, QueryBlock block, int64_t begin, int64_t end, Isa isa,
                void* q, MatrixView<float> scores) {
  const ScorePageFn score = SelectScorePage(isa, args.pages.bf16);
  const int64_t width = args.q.cols;
  for (int64_t i = 0; i < block.count; ++i) {
    const float* source = args.q.row(block.first + i);
    if (args.pages.bf16) {
      NarrowRow(source, width, isa, static_cast<Bf16*>(q) + i * width);
    } else {
      std::copy(source, source + width, static_cast<float*>(q) + i * width);
    }
  }
  const MatrixView<const float> weights{args.weights.row(block.first), block.count,
                                        args.weights.cols, args.weights.stride};
  const int64_t sequence = args.batch.sequences[static_cast<size_t>(block.first)];
  for (int64_t page = begin; page < end; ++page) {
    score({.q = q,
           .weights = weights,
           .queries = block.count,
           .heads = weights.cols,
           .dim = args.pages.row,
           .keys = SegmentOf(args.pages, PageOf(args.batch, sequence, page * kPageSize)),
           .scores = scores.data + page * kPageSize,
           .score_stride = scores.stride});
  }
}

// The choice of one query from its scores, which are not read where it sees topk keys or fewer.
void SelectQuery(const IndexerTopkArgs& args, int64_t token, const float* scores, Isa isa,
                 void* scratch) {
  const int64_t visible = Visible(args, token);
  int32_t* out = args.indices.row(token);
  args.counts[static_cast<size_t>(token)] = static_cast<int32_t>(std::min(visible, args.topk));
  if (visible > args.topk) {
    SelectTopk(scores, visible, args.topk, isa, scratch, out);
  } else {
    for (int64_t s = 0; s < visible; ++s) out[s] = static_cast<int32_t>(s);
  }
}

// A whole block on one thread.
void SelectBlock(const IndexerTopkArgs& args, QueryBlock block, Stream& stream, int thread) {
  const bool score = Visible(args, block.first + block.count - 1) > args.topk;
  const int64_t num_pages = score ? NumPages(args, block) : 0;
  const int64_t stride = num_pages * kPageSize;
  std::byte* scratch = stream.Scratch(
      thread, QueryBytes(args) + kQueryBlock * stride * 4 + TopkScratchBytes(stride));
  const MatrixView<float> scores{reinterpret_cast<float*>(scratch + QueryBytes(args)), block.count,
                                 stride, stride};
  ScoreBlock(args, block, 0, num_pages, stream.isa(), scratch, scores);
  for (int64_t i = 0; i < block.count; ++i) {
    SelectQuery(args, block.first + i, scores.row(i), stream.isa(), scores.row(kQueryBlock));
  }
}

// A whole block on the team: pages among the threads, then queries. For steps of few tokens over
// long contexts, which would wait for one thread otherwise.
void SelectBlockByTeam(const IndexerTopkArgs& args, QueryBlock block, Stream& stream) {
  const int64_t num_pages = NumPages(args, block);
  const MatrixView<float> scores = stream.Shared(block.count, num_pages * kPageSize);
  stream.pool().ParallelFor(num_pages, 16, [&](int64_t begin, int64_t end, int thread) {
    ScoreBlock(args, block, begin, end, stream.isa(), stream.Scratch(thread, QueryBytes(args)),
               scores);
  });
  stream.pool().ParallelFor(block.count, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) {
      SelectQuery(args, block.first + i, scores.row(i), stream.isa(),
                  stream.Scratch(thread, TopkScratchBytes(scores.cols)));
    }
  });
}

// The block that begins at `token`.
QueryBlock BlockAt(const IndexerTopkArgs& args, int64_t token, int64_t end) {
  int64_t last = token + 1;
  while (last < std::min(end, token + kQueryBlock) &&
         args.batch.sequences[static_cast<size_t>(last)] ==
             args.batch.sequences[static_cast<size_t>(token)]) {
    ++last;
  }
  return {token, last - token};
}

}  // namespace

ScorePageFn SelectScorePage(Isa isa, bool bf16) {
#if defined(__x86_64__)
  if (bf16 && isa == Isa::kAvx512Bf16) return ScorePageAvx512Bf16;
#endif
  return bf16 ? SelectVectors<Bf16>(isa) : SelectVectors<float>(isa);
}

void IndexerTopk(const IndexerTopkArgs& args, Stream& stream) {
  if (args.q.rows < 2 * stream.pool().size()) {
    for (int64_t token = 0; token < args.q.rows;) {
      const QueryBlock block = BlockAt(args, token, args.q.rows);
      SelectBlockByTeam(args, block, stream);
      token += block.count;
    }
    return;
  }
  stream.pool().ParallelFor(args.q.rows, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t token = begin; token < end;) {
      const QueryBlock block = BlockAt(args, token, end);
      SelectBlock(args, block, stream, thread);
      token += block.count;
    }
  });
}

}  // namespace lectern::kernels::cpu
