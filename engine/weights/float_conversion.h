#pragma once
// Stored floating-point types as float32, exactly: every value of BF16, F16 and F8_E4M3 is a
// float32.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/weights/dtype.h"

namespace lectern::weights {

inline float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// IEEE binary16, subnormals, infinities and NaN included.
float F16ToFloat(uint16_t bits);

// The "fn" variant of OCP FP8: bias 7, no infinities, NaN only at 0x7f and 0xff, largest value 448.
float F8E4m3ToFloat(uint8_t bits);

// Widens values.size() elements of `stored` (little-endian, no alignment needed).
// IsWeightDtype(dtype), and stored.size() == values.size() * DtypeBytes(dtype).
void WidenToFloat(Dtype dtype, std::span<const std::byte> stored, std::span<float> values);

}  // namespace lectern::weights
