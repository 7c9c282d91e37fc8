#pragma once
// Exact top-k of one row of scores.

#include <cstdint>

#include "kernels/cpu/isa.h"

namespace lectern::kernels::cpu {

// Working memory of SelectTopk for rows of up to `size` scores, in bytes.
int64_t TopkScratchBytes(int64_t size);

// The positions of the `k` highest of scores[0..size), ascending; of equal scores (-0 equals +0)
// the lower position. 0 < k < size. The k-th value is found exactly by radix selection over the
// ordered bits of float32, digit by digit; then one pass in position order collects. Long rows are
// thinned first on paths with AVX-512: a sample guesses a value safely below the k-th, and only
// scores not below it go on (when fewer than k are left, all do). The guess decides the work, never
// the answer.
void SelectTopk(const float* scores, int64_t size, int64_t k, Isa isa, void* scratch, int32_t* out);

}  // namespace lectern::kernels::cpu
