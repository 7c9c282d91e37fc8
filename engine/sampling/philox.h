#pragma once
// Philox4x32-10: random numbers from a counter, without state. The draw for token i needs only
// (seed, i), so that a request resumed on another worker goes on with the numbers it would have
// had. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

#include <array>
#include <cstdint>

namespace lectern::sampling {

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Uniform in [0, 1) with 53 bits, of counter `index` and key `seed`.
double UniformDraw(uint64_t seed, uint64_t index);

}  // namespace lectern::sampling
