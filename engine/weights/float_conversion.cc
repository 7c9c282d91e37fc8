#include "engine/weights/float_conversion.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/check.h"

namespace lectern::weights {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

float F16ToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1FU;
  const uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0x1FU) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Zero or subnormal: mantissa * 2^-24, which float32 holds as a normal number.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return sign != 0 ? -magnitude : magnitude;
}

float F8E4m3ToFloat(uint8_t bits) {
  const int exponent = (bits >> 3) & 0xF;
  const int mantissa = bits & 0x7;
  if (exponent == 0xF && mantissa == 0x7) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

namespace {

const std::array<float, 256>& F8E4m3Table() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> values{};
    for (size_t i = 0; i < values.size(); ++i) values[i] = F8E4m3ToFloat(static_cast<uint8_t>(i));
    return values;
  }();
  return table;
}

// Loads through memcpy: a header of odd length leaves every tensor of the file unaligned.
template <typename Stored, typename Convert>
void WidenEach(std::span<const std::byte> stored, std::span<float> values, Convert convert) {
  const std::byte* from = stored.data();
  for (float& value : values) {
    Stored bits;
    std::memcpy(&bits, from, sizeof(bits));
    from += sizeof(bits);
    value = convert(bits);
  }
}

}  // namespace

void WidenToFloat(Dtype dtype, std::span<const std::byte> stored, std::span<float> values) {
  LECTERN_CHECK(stored.size() == values.size() * static_cast<size_t>(DtypeBytes(dtype)));
  if (values.empty()) return;
  switch (dtype) {
    case Dtype::kF32:
      std::memcpy(values.data(), stored.data(), stored.size());
      return;
    case Dtype::kBf16:
      return WidenEach<uint16_t>(stored, values, Bf16ToFloat);
    case Dtype::kF16:
      return WidenEach<uint16_t>(stored, values, F16ToFloat);
    case Dtype::kF8E4m3: {
      const std::array<float, 256>& table = F8E4m3Table();
      return WidenEach<uint8_t>(stored, values, [&table](uint8_t bits) { return table[bits]; });
    }
    default:
      LECTERN_CHECK(IsWeightDtype(dtype));
  }
}

}  // namespace lectern::weights
