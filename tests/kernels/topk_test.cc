// Exact top-k: higher score first, of equal ones the lower position.

#include "kernels/cpu/topk.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "tests/kernels/testing.h"

namespace lectern::kernels {
namespace {

std::vector<int32_t> Naive(const std::vector<float>& scores, int64_t k) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(k));
  std::sort(order.begin(), order.end());
  return order;
}

// On every path, which must agree.
std::vector<int32_t> Select(const std::vector<float>& scores, int64_t k) {
  const auto size = static_cast<int64_t>(scores.size());
  AlignedBuffer<std::byte> scratch(cpu::TopkScratchBytes(size));
  std::vector<int32_t> first;
  for (const cpu::Isa isa : Paths()) {
    std::vector<int32_t> out(static_cast<size_t>(k));
    cpu::SelectTopk(scores.data(), size, k, isa, scratch.data(), out.data());
    if (first.empty()) first = out;
    EXPECT_EQ(out, first) << cpu::IsaName(isa);
  }
  return first;
}

TEST(SelectTopk, MatchesSortingOnRandomScores) {
  for (uint32_t seed = 0; seed < 90; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 engine(seed);
    const int64_t size =
        std::uniform_int_distribution<int64_t>(2, seed < 60 ? 3000 : 30000)(engine);
    const int64_t k = std::uniform_int_distribution<int64_t>(1, size - 1)(engine);
    // Coarse rounding makes many ties; wide exponents spread the digits.
    const float grain = seed % 3 == 0 ? 0.25F : seed % 3 == 1 ? 1e-6F : 1e-3F;
    const float scale = seed % 4 == 0 ? 1e20F : 1.0F;
    std::vector<float> scores = RandomMatrix(1, size, seed + 1000).values;
    for (float& score : scores) score = std::round(score / grain) * grain * scale;
    EXPECT_EQ(Select(scores, k), Naive(scores, k));
  }
}

TEST(SelectTopk, EqualScoresGoByPosition) {
  EXPECT_EQ(Select({1, 2, 2, 2, 3, 2}, 3), (std::vector<int32_t>{1, 2, 4}));
  EXPECT_EQ(Select(std::vector<float>(100, 0.0F), 3), (std::vector<int32_t>{0, 1, 2}));
}

TEST(SelectTopk, BothZerosAreEqual) {
  EXPECT_EQ(Select({-0.0F, 0.0F, -0.0F, 0.0F, -1.0F}, 3), (std::vector<int32_t>{0, 1, 2}));
}

TEST(SelectTopk, NegativeScoresAndExtremes) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> scores = {-kInf, kMax, -kMax, kTiny, -kTiny, 0, kInf, -5, -4};
  for (int64_t k = 1; k < 9; ++k) EXPECT_EQ(Select(scores, k), Naive(scores, k)) << k;
}

// The sample sees only low scores, or only high ones: the guess is wrong and the answer right.
TEST(SelectTopk, MisleadingSamples) {
  std::vector<float> scores = RandomMatrix(1, 16384, 3).values;
  for (size_t i = 0; i < scores.size(); i += 16) scores[i] = 100.0F + static_cast<float>(i % 7);
  EXPECT_EQ(Select(scores, 512), Naive(scores, 512));
  EXPECT_EQ(Select(scores, 3000), Naive(scores, 3000));
  for (size_t i = 0; i < scores.size(); i += 16) scores[i] = -100.0F;
  EXPECT_EQ(Select(scores, 512), Naive(scores, 512));
  EXPECT_EQ(Select(std::vector<float>(5000, -0.0F), 17).back(), 16);
}

// What a broken checkpoint may give: the answer is meaningless, but k valid positions.
TEST(SelectTopk, NotANumberStaysInRange) {
  for (const int64_t size : {200, 5000}) {
    for (const size_t step : {1, 3, 8}) {
      std::vector<float> scores = RandomMatrix(1, size, 1).values;
      for (size_t i = 0; i < scores.size(); i += step) scores[i] = std::nanf("");
      for (const cpu::Isa isa : Paths()) {
        AlignedBuffer<std::byte> scratch(cpu::TopkScratchBytes(size));
        std::vector<int32_t> chosen(64);
        cpu::SelectTopk(scores.data(), size, 64, isa, scratch.data(), chosen.data());
        for (size_t i = 0; i < chosen.size(); ++i) {
          EXPECT_LT(chosen[i], size);
          EXPECT_GE(chosen[i], i == 0 ? 0 : chosen[i - 1] + 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace lectern::kernels
