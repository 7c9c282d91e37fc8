#include "engine/sampling/philox.h"

#include <gtest/gtest.h>

#include <vector>

namespace lectern::sampling {
namespace {

using Words = std::array<uint32_t, 4>;

// Known answers that the authors publish with their library (kat_vectors, philox4x32, 10 rounds).
TEST(PhiloxTest, EqualsThePublishedVectors) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, DrawsDependOnEveryBitOfSeedAndIndex) {
  const double draw = UniformDraw(1, 2);
  EXPECT_EQ(UniformDraw(1, 2), draw);
  EXPECT_NE(UniformDraw(1, 3), draw);
  EXPECT_NE(UniformDraw(2, 2), draw);
  EXPECT_NE(UniformDraw(1 + (1ULL << 40), 2), draw);
  EXPECT_NE(UniformDraw(1, 2 + (1ULL << 40)), draw);
}

// 16 cells, 15 degrees of freedom: chi-square passes 50 with probability 1e-5. The seed is fixed,
// so the figure is the same on every run.
TEST(PhiloxTest, DrawsAreUniform) {
  constexpr int kDraws = 160'000;
  constexpr int kCells = 16;
  std::vector<int> counts(kCells);
  for (uint64_t index = 0; index < kDraws; ++index) {
    const double draw = UniformDraw(42, index);
    ASSERT_GE(draw, 0.0);
    ASSERT_LT(draw, 1.0);
    ++counts[static_cast<size_t>(draw * kCells)];
  }
  double chi_square = 0;
  for (const int count : counts) {
    const double difference = count - kDraws / kCells;
    chi_square += difference * difference / (kDraws / kCells);
  }
  EXPECT_LT(chi_square, 50);
}

}  // namespace
}  // namespace lectern::sampling
