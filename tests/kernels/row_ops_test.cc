// Embedding, norms, RoPE and the router.

#include <cmath>

#include "tests/kernels/testing.h"

namespace lectern::kernels {
namespace {

TEST(RowOps, RmsNormMatchesDoublePrecision) {
  for (const int64_t cols : {1, 7, 8, 64, 321}) {
    const Matrix x = RandomMatrix(20, cols, 3);
    const Matrix weight = RandomMatrix(1, cols, 4);
    Matrix out(20, cols);
    Stream stream(2);
    ASSERT_TRUE(
        RmsNorm({.x = x.view(), .weight = weight.values, .eps = 1e-3F, .out = out.view()}, stream)
            .ok());
    for (int64_t r = 0; r < 20; ++r) {
      double square = 0;
      for (int64_t i = 0; i < cols; ++i) square += std::pow(x.at(r, i), 2);
      const double inverse = 1.0 / std::sqrt(square / static_cast<double>(cols) + 1e-3);
      for (int64_t i = 0; i < cols; ++i) {
        EXPECT_NEAR(out.at(r, i), x.at(r, i) * inverse * weight.values[static_cast<size_t>(i)],
                    2e-6);
      }
    }
  }
}

TEST(RowOps, RopePairsOfBothLayouts) {
  Matrix x(1, 4);
  x.values = {1, 2, 3, 4};
  Matrix cos(1, 2), sin(1, 2);
  cos.values = {0.5F, 0.25F};
  sin.values = {2, 3};
  Stream stream(1);
  for (const bool interleaved : {true, false}) {
    Matrix out(1, 4);
    ASSERT_TRUE(Rope({.x = x.view(),
                      .x_head_stride = 4,
                      .out = out.view(),
                      .out_head_stride = 4,
                      .num_heads = 1,
                      .dims = 4,
                      .interleaved = interleaved,
                      .cos = cos.view(),
                      .sin = sin.view()},
                     stream)
                    .ok());
    const std::vector<float> pairs = {1 * 0.5F - 2 * 2, 2 * 0.5F + 1 * 2, 3 * 0.25F - 4 * 3,
                                      4 * 0.25F + 3 * 3};
    const std::vector<float> halves = {1 * 0.5F - 3 * 2, 2 * 0.25F - 4 * 3, 3 * 0.5F + 1 * 2,
                                       4 * 0.25F + 2 * 3};
    EXPECT_EQ(out.values, interleaved ? pairs : halves);
  }
}

TEST(RowOps, EmbeddingOfBothForms) {
  const Matrix table = RandomMatrix(5, 3, 1);
  std::vector<Bf16> narrow;
  for (const float value : table.values) narrow.push_back(ToBf16(value));
  const std::vector<int32_t> ids = {4, 0, 4};
  Matrix wide(3, 3), rounded(3, 3);
  Stream stream(1);
  ASSERT_TRUE(
      Embedding({.ids = ids, .table = table.view(), .bf16_table = {}, .out = wide.view()}, stream)
          .ok());
  ASSERT_TRUE(
      Embedding(
          {.ids = ids, .table = {}, .bf16_table = {narrow.data(), 5, 3, 3}, .out = rounded.view()},
          stream)
          .ok());
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_EQ(wide.at(r, i), table.at(ids[static_cast<size_t>(r)], i));
      EXPECT_EQ(rounded.at(r, i), Rounded(table.at(ids[static_cast<size_t>(r)], i), true));
    }
  }
}

TEST(RowOps, Bf16RoundsToNearestEven) {
  EXPECT_EQ(ToFloat(ToBf16(1.0F + 1.0F / 256)), 1.0F);               // tie, down to even
  EXPECT_EQ(ToFloat(ToBf16(1.0F + 3.0F / 256)), 1.0F + 4.0F / 256);  // tie, up to even
  EXPECT_EQ(ToFloat(ToBf16(1.0F + 1.1F / 256)), 1.0F + 2.0F / 256);
  EXPECT_TRUE(std::isnan(ToFloat(ToBf16(std::nanf("")))));
  EXPECT_TRUE(std::isinf(ToFloat(ToBf16(3.4e38F))));
}

struct RouteCase {
  int groups, topk_group, topk;
  bool normalize;
};

// Written from the equations, with plain sorting.
std::vector<std::pair<int32_t, double>> NaiveRoute(const Matrix& logits, int64_t t,
                                                   const std::vector<float>& bias,
                                                   const RouteCase& c, double scale) {
  const auto experts = static_cast<int>(logits.cols);
  const int size = experts / c.groups;
  std::vector<double> score, choice;
  for (int e = 0; e < experts; ++e) {
    score.push_back(1.0 / (1.0 + std::exp(-double{logits.at(t, e)})));
    choice.push_back(score.back() + bias[static_cast<size_t>(e)]);
  }
  std::vector<std::pair<double, int>> groups;
  for (int g = 0; g < c.groups; ++g) {
    std::vector<double> members(choice.begin() + g * size, choice.begin() + (g + 1) * size);
    std::sort(members.rbegin(), members.rend());
    groups.emplace_back(-(members[0] + (size > 1 ? members[1] : 0.0)), g);
  }
  std::sort(groups.begin(), groups.end());
  std::vector<std::pair<double, int>> order;
  for (int i = 0; i < c.topk_group; ++i) {
    const int g = groups[static_cast<size_t>(i)].second;
    for (int e = g * size; e < (g + 1) * size; ++e) {
      order.emplace_back(-choice[static_cast<size_t>(e)], e);
    }
  }
  std::sort(order.begin(), order.end());
  order.resize(static_cast<size_t>(c.topk));
  double sum = 0;
  for (const auto& [unused, e] : order) sum += score[static_cast<size_t>(e)];
  std::vector<std::pair<int32_t, double>> out;
  for (const auto& [unused, e] : order) {
    const double weight = score[static_cast<size_t>(e)];
    out.emplace_back(e, (c.normalize ? weight / sum : weight) * scale);
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Router, MatchesTheEquations) {
  for (const RouteCase c :
       {RouteCase{1, 1, 2, true}, {4, 2, 4, true}, {8, 3, 3, false}, {16, 5, 5, true}}) {
    const Matrix logits = RandomMatrix(50, 16, 11);
    const std::vector<float> bias = RandomMatrix(1, 16, 12, 0.3F).values;
    std::vector<int32_t> experts(50 * static_cast<size_t>(c.topk));
    Matrix weights(50, c.topk);
    Stream stream(1);
    ASSERT_TRUE(Route({.logits = logits.view(),
                       .bias = bias,
                       .num_groups = c.groups,
                       .topk_group = c.topk_group,
                       .topk = c.topk,
                       .normalize = c.normalize,
                       .scale = 2.5F,
                       .experts = {experts.data(), 50, c.topk, c.topk},
                       .weights = weights.view()},
                      stream)
                    .ok());
    for (int64_t t = 0; t < 50; ++t) {
      const auto expected = NaiveRoute(logits, t, bias, c, 2.5);
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(experts[static_cast<size_t>(t * c.topk) + i], expected[i].first);
        EXPECT_NEAR(weights.at(t, static_cast<int64_t>(i)), expected[i].second, 1e-5);
      }
    }
  }
}

}  // namespace
}  // namespace lectern::kernels
