#include "engine/weights/float_conversion.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace lectern::weights {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(FloatConversionTest, Bf16IsTheUpperHalf) {
  EXPECT_EQ(Bf16ToFloat(0x3F80), 1.0F);
  EXPECT_EQ(Bf16ToFloat(0xC040), -3.0F);
  EXPECT_EQ(Bf16ToFloat(0x4049), 3.140625F);
  EXPECT_EQ(Bf16ToFloat(0xFF80), -kInfinity);
  EXPECT_TRUE(std::isnan(Bf16ToFloat(0x7FC0)));
  EXPECT_EQ(Bf16ToFloat(0x0001), 0x1p-133F);
}

TEST(FloatConversionTest, F16ByHand) {
  EXPECT_EQ(F16ToFloat(0x3C00), 1.0F);
  EXPECT_EQ(F16ToFloat(0xC000), -2.0F);
  EXPECT_EQ(F16ToFloat(0x3555), 0x1.554p-2F);  // nearest to 1/3
  EXPECT_EQ(F16ToFloat(0x7BFF), 65504.0F);
  EXPECT_EQ(F16ToFloat(0x0400), 0x1p-14F);  // least normal
  EXPECT_EQ(F16ToFloat(0x03FF), 1023 * 0x1p-24F);
  EXPECT_EQ(F16ToFloat(0x8001), -0x1p-24F);
  EXPECT_EQ(F16ToFloat(0x7C00), kInfinity);
  EXPECT_TRUE(std::isnan(F16ToFloat(0x7E00)));
  EXPECT_TRUE(std::signbit(F16ToFloat(0x8000)));
}

TEST(FloatConversionTest, EveryF16IsItsDefinition) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10) & 31;
    const int mantissa = static_cast<int>(bits & 1023);
    if (exponent == 31) continue;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    ASSERT_EQ(F16ToFloat(static_cast<uint16_t>(bits)),
              (bits & 0x8000) != 0 ? -magnitude : magnitude)
        << bits;
  }
}

TEST(FloatConversionTest, F8E4m3ByHand) {
  EXPECT_EQ(F8E4m3ToFloat(0x00), 0.0F);
  EXPECT_TRUE(std::signbit(F8E4m3ToFloat(0x80)));
  EXPECT_EQ(F8E4m3ToFloat(0x01), 0x1p-9F);  // least subnormal
  EXPECT_EQ(F8E4m3ToFloat(0x07), 7 * 0x1p-9F);
  EXPECT_EQ(F8E4m3ToFloat(0x08), 0x1p-6F);  // least normal
  EXPECT_EQ(F8E4m3ToFloat(0x38), 1.0F);
  EXPECT_EQ(F8E4m3ToFloat(0x3C), 1.5F);
  EXPECT_EQ(F8E4m3ToFloat(0xC2), -2.5F);
  EXPECT_EQ(F8E4m3ToFloat(0x78), 256.0F);  // where IEEE would have infinity
  EXPECT_EQ(F8E4m3ToFloat(0x7E), 448.0F);
  EXPECT_TRUE(std::isnan(F8E4m3ToFloat(0x7F)));
  EXPECT_TRUE(std::isnan(F8E4m3ToFloat(0xFF)));
}

TEST(FloatConversionTest, F8E4m3GrowsWithItsBits) {
  for (uint8_t bits = 1; bits < 0x7F; ++bits) {
    EXPECT_GT(F8E4m3ToFloat(bits), F8E4m3ToFloat(static_cast<uint8_t>(bits - 1)));
    EXPECT_EQ(F8E4m3ToFloat(static_cast<uint8_t>(bits | 0x80)), -F8E4m3ToFloat(bits));
  }
}

// A header of odd length leaves tensors unaligned; the sanitizers see a plain load.
TEST(FloatConversionTest, WidensFromAnyAddress) {
  const float stored[] = {1.5F, -0.25F, 1e-30F};
  std::vector<std::byte> bytes(sizeof(stored) + 1);
  std::memcpy(bytes.data() + 1, stored, sizeof(stored));
  std::vector<float> values(3);
  WidenToFloat(Dtype::kF32, std::span(bytes).subspan(1), values);
  EXPECT_EQ(values, std::vector<float>(std::begin(stored), std::end(stored)));
  values.resize(6);
  WidenToFloat(Dtype::kBf16, std::span(bytes).subspan(1), values);
  EXPECT_EQ(values[1], 1.5F);  // little-endian: the upper half comes second
  WidenToFloat(Dtype::kF8E4m3, {}, {});
}

}  // namespace
}  // namespace lectern::weights
