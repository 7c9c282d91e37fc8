#pragma once
// Exact top-k of one row of scores.

#include <cstdint>

namespace lectern::kernels::cpu {

// Working memory of SelectTopk for rows of up to `size` scores, in bytes.
int64_t TopkScratchBytes(int64_t size);

// The positions of the `k` highest of scores[0..size), ascending; of equal scores (-0 equals +0) the lower
// position. 0 < k < size. Radix selection over the ordered bits of float32: the k-th value is found exactly,
// digit by digit, then one pass in position order collects. Linear in size, whatever the scores.
void SelectTopk(const float* scores, int64_t size, int64_t k, void* scratch, int32_t* out);

}  // namespace lectern::kernels::cpu
