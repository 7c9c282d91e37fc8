// Sparse attention against double precision, from rows that LatentWrite put into pages.

#include <cmath>

#include "tests/kernels/testing.h"

namespace lectern::kernels {
namespace {

struct Operands {
  int64_t tokens, heads, rank, rope, topk;
  bool bf16;
};

class AttentionTest : public testing::TestWithParam<cpu::Isa> {
 protected:
  void Fill(const Operands& setup, uint32_t seed) {
    kv_ = RandomMatrix(setup.tokens, setup.rank + setup.rope, seed);
    q_ = RandomMatrix(setup.tokens, setup.heads * (setup.rank + setup.rope), seed + 1);
    norm_ = RandomMatrix(1, setup.rank, seed + 2);
    cos_ = RandomMatrix(setup.tokens, setup.rope / 2, seed + 3);
    sin_ = RandomMatrix(setup.tokens, setup.rope / 2, seed + 4);
    std::mt19937 engine(seed);
    chosen_.clear();
    for (int64_t t = 0; t < setup.tokens; ++t) {
      std::vector<int32_t> all(static_cast<size_t>(t + 1));
      for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
      std::shuffle(all.begin(), all.end(), engine);
      all.resize(std::min(all.size(), static_cast<size_t>(setup.topk)));
      std::sort(all.begin(), all.end());
      chosen_.push_back(all);
    }
  }

  Matrix Attend(const Operands& setup, int64_t step, uint32_t page_seed) {
    const int64_t row = setup.rank + setup.rope;
    const Pages pages(setup.tokens, row, setup.bf16, page_seed);
    Stream stream(2, GetParam());
    Matrix out(setup.tokens, setup.heads * setup.rank);
    for (int64_t first = 0; first < setup.tokens; first += step) {
      const int64_t count = std::min(step, setup.tokens - first);
      const TestBatch batch(first, count, pages);
      const auto rows = [&](const Matrix& matrix) {
        return MatrixView<const float>{matrix.values.data() + first * matrix.cols, count,
                                       matrix.cols, matrix.cols};
      };
      EXPECT_TRUE(LatentWrite({.kv = rows(kv_),
                               .weight = norm_.values,
                               .eps = 1e-5F,
                               .cos = rows(cos_),
                               .sin = rows(sin_),
                               .batch = batch.view(),
                               .pages = pages.segment()},
                              stream)
                      .ok());
      std::vector<int32_t> indices(static_cast<size_t>(count * setup.topk), -1);
      std::vector<int32_t> counts;
      for (int64_t t = 0; t < count; ++t) {
        const auto& chosen = chosen_[static_cast<size_t>(first + t)];
        std::copy(chosen.begin(), chosen.end(),
                  indices.begin() + static_cast<std::ptrdiff_t>(t * setup.topk));
        counts.push_back(static_cast<int32_t>(chosen.size()));
      }
      EXPECT_TRUE(SparseAttention({.q = rows(q_),
                                   .num_heads = setup.heads,
                                   .rank = setup.rank,
                                   .scale = 0.2F,
                                   .batch = batch.view(),
                                   .pages = pages.segment(),
                                   .indices = {indices.data(), count, setup.topk, setup.topk},
                                   .counts = counts,
                                   .out = {out.view().row(first), count, out.cols, out.cols}},
                                  stream)
                      .ok());
    }
    return out;
  }

  // The row as a page holds it.
  std::vector<double> Row(const Operands& setup, int64_t token) const {
    std::vector<double> out;
    double square = 0;
    for (int64_t i = 0; i < setup.rank; ++i) square += std::pow(kv_.at(token, i), 2);
    const double inverse = 1.0 / std::sqrt(square / static_cast<double>(setup.rank) + 1e-5);
    for (int64_t i = 0; i < setup.rank; ++i) {
      out.push_back(kv_.at(token, i) * inverse * norm_.values[static_cast<size_t>(i)]);
    }
    for (int64_t j = 0; j < setup.rope / 2; ++j) {
      const double a = kv_.at(token, setup.rank + 2 * j);
      const double b = kv_.at(token, setup.rank + 2 * j + 1);
      out.push_back(a * cos_.at(token, j) - b * sin_.at(token, j));
      out.push_back(b * cos_.at(token, j) + a * sin_.at(token, j));
    }
    for (double& value : out) value = Rounded(static_cast<float>(value), setup.bf16);
    return out;
  }

  Matrix kv_{0, 0}, q_{0, 0}, norm_{0, 0}, cos_{0, 0}, sin_{0, 0};
  std::vector<std::vector<int32_t>> chosen_;
};

TEST_P(AttentionTest, MatchesDoublePrecision) {
  uint32_t seed = 100;
  for (const Operands setup : {Operands{80, 4, 32, 16, 16, false},
                               {80, 4, 32, 16, 16, true},
                               {200, 6, 128, 16, 150, true},
                               {70, 7, 64, 8, 65, true},
                               {40, 1, 6, 2, 5, true},
                               {40, 13, 40, 6, 33, true},
                               {1, 6, 128, 16, 512, true},
                               {66, 3, 17, 4, 64, false}}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Fill(setup, seed += 10);
    const Matrix out = Attend(setup, 50, 3);
    const int64_t row = setup.rank + setup.rope;
    std::vector<std::vector<double>> rows;
    for (int64_t s = 0; s < setup.tokens; ++s) rows.push_back(Row(setup, s));
    for (int64_t t = 0; t < setup.tokens; ++t) {
      for (int64_t h = 0; h < setup.heads; ++h) {
        std::vector<double> expected(static_cast<size_t>(setup.rank));
        double sum = 0;
        for (const int32_t s : chosen_[static_cast<size_t>(t)]) {
          double score = 0;
          for (int64_t i = 0; i < row; ++i) {
            score += double{Rounded(q_.at(t, h * row + i), setup.bf16)} *
                     rows[static_cast<size_t>(s)][static_cast<size_t>(i)];
          }
          const double p = std::exp(0.2 * score);
          sum += p;
          for (int64_t i = 0; i < setup.rank; ++i) {
            expected[static_cast<size_t>(i)] +=
                p * rows[static_cast<size_t>(s)][static_cast<size_t>(i)];
          }
        }
        // bf16: probabilities are rounded to 8 bits, and a row's value by one step where float32
        // differs.
        const double tolerance = setup.bf16 ? 4e-2 : 1e-4;
        for (int64_t i = 0; i < setup.rank; ++i) {
          ASSERT_NEAR(out.at(t, h * setup.rank + i), expected[static_cast<size_t>(i)] / sum,
                      tolerance)
              << "token " << t << " head " << h << " column " << i;
        }
      }
    }
  }
}

TEST_P(AttentionTest, RowsDoNotDependOnStepsOrPages) {
  for (const bool bf16 : {false, true}) {
    const Operands setup{260, 6, 128, 16, 70, bf16};
    Fill(setup, 8);
    const Matrix whole = Attend(setup, 260, 1);
    for (const int64_t step : {1, 3, 64, 200}) {
      EXPECT_EQ(Attend(setup, step, static_cast<uint32_t>(step)).values, whole.values)
          << "step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, AttentionTest, testing::ValuesIn(Paths()), PathName);

}  // namespace
}  // namespace lectern::kernels
