#pragma once
// Scores of a block of queries of one sequence against one page of indexer keys.

#include <cstdint>

#include "kernels/cpu/isa.h"
#include "kernels/ops.h"

namespace lectern::kernels::cpu {

struct ScorePage {
  const void* q = nullptr;          // [queries, heads, dim] of the pages' dtype, contiguous
  MatrixView<const float> weights;  // [queries, heads]
  int64_t queries = 0;
  int64_t heads = 0;
  int64_t dim = 0;
  const std::byte* keys = nullptr;  // one page's segment
  float* scores = nullptr;          // [queries, 64 of score_stride], all 64 written
  int64_t score_stride = 0;
};
using ScorePageFn = void (*)(const ScorePage& args);

ScorePageFn SelectScorePage(Isa isa, bool bf16);
void ScorePageAvx512Bf16(const ScorePage& args);

}  // namespace lectern::kernels::cpu
