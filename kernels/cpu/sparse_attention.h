#pragma once
// Attention of one query over its chosen rows.

#include <cstdint>

#include "kernels/cpu/isa.h"
#include "kernels/ops.h"

namespace lectern::kernels::cpu {

struct AttendQuery {
  const float* q = nullptr;  // [heads, row]
  int64_t heads = 0;
  int64_t row = 0;
  int64_t rank = 0;
  float scale = 0;
  // Addresses of the chosen rows, in order; repeated up to a multiple of 64.
  const void* const* rows = nullptr;
  int64_t count = 0;
  std::byte* scratch = nullptr;  // AttendScratchBytes
  float* out = nullptr;          // [heads, rank]
};
using AttendQueryFn = void (*)(const AttendQuery& args);

// Scores of every head over the selection, padded, and a block of widened or transposed rows.
int64_t AttendScratchBytes(int64_t heads, int64_t row, int64_t count);
AttendQueryFn SelectAttendQuery(Isa isa, bool bf16);
void AttendQueryAvx512Bf16(const AttendQuery& args);

}  // namespace lectern::kernels::cpu
