// Sparse absorbed MLA. Each chosen row (latent and rotated key, shared by all heads) is loaded once
// for the scores and once for the weighted sum. Order: scores one row at a time; softmax over the
// selection in fixed lanes; the sum over rows ascending in the selection, one chain per output
// element.

#include "kernels/cpu/sparse_attention.h"

#include <algorithm>

#include "kernels/cpu/ops.h"
#include "kernels/cpu/pages.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/softmax.h"

namespace lectern::kernels::cpu {
namespace {

template <typename T>
LECTERN_INLINE const float* WidenRow(const void* row, int64_t size, float* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    return static_cast<const float*>(row);
  } else {
    for (int64_t i = 0; i < size; ++i) scratch[i] = WidenElement(static_cast<const T*>(row)[i]);
    return scratch;
  }
}

template <int kLanes, typename T>
LECTERN_INLINE void Attend(const AttendQuery& args) {
  using F32 = typename Lanes<kLanes>::F32;
  const int64_t padded = PaddedCount(args.count);
  auto* scores = reinterpret_cast<float*>(args.scratch);  // [heads, padded]
  float* wide = scores + args.heads * padded;
  for (int64_t s = 0; s < args.count; ++s) {
    const float* row = WidenRow<T>(args.rows[s], args.row, wide);
    for (int64_t h = 0; h < args.heads; ++h) {
      scores[h * padded + s] = Dot<kLanes>(args.q + h * args.row, row, args.row) * args.scale;
    }
  }
  std::fill(args.out, args.out + args.heads * args.rank, 0.0F);
  float* inverse = wide + args.row;  // [heads]
  for (int64_t h = 0; h < args.heads; ++h) {
    inverse[h] = SoftmaxNumerators<kLanes>(scores + h * padded, args.count);
  }
  for (int64_t s = 0; s < args.count; ++s) {
    const float* row = WidenRow<T>(args.rows[s], args.rank, wide);
    for (int64_t h = 0; h < args.heads; ++h) {
      const float p = scores[h * padded + s];
      float* out = args.out + h * args.rank;
      int64_t i = 0;
      F32 sum, value;
      for (; i + kLanes <= args.rank; i += kLanes) {
        LoadVector(sum, out + i);
        LoadVector(value, row + i);
        sum += value * p;
        StoreVector(out + i, sum);
      }
      for (; i < args.rank; ++i) out[i] += p * row[i];
    }
  }
  for (int64_t h = 0; h < args.heads; ++h) {
    for (int64_t i = 0; i < args.rank; ++i) args.out[h * args.rank + i] *= inverse[h];
  }
}

template <typename T>
void AttendGeneric(const AttendQuery& args) {
  Attend<4, T>(args);
}
template <typename T>
LECTERN_TARGET_AVX2 void AttendAvx2(const AttendQuery& args) {
  Attend<8, T>(args);
}
template <typename T>
LECTERN_TARGET_AVX512 void AttendAvx512(const AttendQuery& args) {
  Attend<16, T>(args);
}

template <typename T>
AttendQueryFn SelectVectors(Isa isa) {
  if (isa >= Isa::kAvx512) return AttendAvx512<T>;
  return isa == Isa::kAvx2 ? AttendAvx2<T> : AttendGeneric<T>;
}

// Addresses of a token's chosen rows, repeated up to a multiple of kScorePad.
void ChosenRows(const SparseAttentionArgs& args, int64_t token, const void** rows) {
  const auto at = static_cast<size_t>(token);
  const int64_t count = args.counts[at];
  const int64_t row_bytes = args.pages.row * (args.pages.bf16 ? 2 : 4);
  const int64_t page_stride = args.pages.page_stride;
  const std::byte* base = args.pages.base;
  const int32_t* table =
      args.batch.block_tables.data() + args.batch.sequences[at] * args.batch.max_blocks;
  const int32_t* chosen = args.indices.row(token);
  for (int64_t i = 0; i < count; ++i) {
    const auto position = static_cast<uint32_t>(chosen[i]);
    rows[i] = base + table[position / kPageSize] * page_stride + position % kPageSize * row_bytes;
  }
  for (int64_t i = count; i < PaddedCount(count); ++i) rows[i] = rows[count - 1];
}

void AttendToken(const SparseAttentionArgs& args, int64_t token, AttendQueryFn attend,
                 Stream& stream, int thread) {
  const int64_t count = args.counts[static_cast<size_t>(token)];
  const int64_t row_bytes = PaddedCount(count) * static_cast<int64_t>(sizeof(void*));
  std::byte* scratch =
      stream.Scratch(thread, row_bytes + AttendScratchBytes(args.num_heads, args.pages.row, count));
  const auto** rows = reinterpret_cast<const void**>(scratch);
  ChosenRows(args, token, rows);
  attend({.q = args.q.row(token),
          .heads = args.num_heads,
          .row = args.pages.row,
          .rank = args.rank,
          .scale = args.scale,
          .rows = rows,
          .count = count,
          .scratch = scratch + row_bytes,
          .out = args.out.row(token)});
}

}  // namespace

int64_t AttendScratchBytes(int64_t heads, int64_t row, int64_t count) {
  return 4 * (heads * PaddedCount(count) + (row + 16) * kScorePad + heads * (row + 16) + heads);
}

AttendQueryFn SelectAttendQuery(Isa isa, bool bf16) {
#if defined(__x86_64__)
  if (bf16 && isa == Isa::kAvx512Bf16) return AttendQueryAvx512Bf16;
#endif
  return bf16 ? SelectVectors<Bf16>(isa) : SelectVectors<float>(isa);
}

void SparseAttention(const SparseAttentionArgs& args, Stream& stream) {
  const AttendQueryFn attend = SelectAttendQuery(stream.isa(), args.pages.bf16);
  stream.pool().ParallelFor(args.q.rows, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t t = begin; t < end; ++t) AttendToken(args, t, attend, stream, thread);
  });
}

}  // namespace lectern::kernels::cpu
