// Indexer keys written to pages and scored from there, against the formula in double precision.

#include <cmath>
#include <numeric>

#include "tests/kernels/testing.h"

namespace lectern::kernels {
namespace {

struct Operands {
  int64_t tokens, heads, dim, rope, topk;
  bool bf16, interleaved;
};

// LayerNorm with bias, then RoPE on the first dims.
std::vector<double> NaiveKey(const Matrix& key, int64_t token, const std::vector<float>& weight,
                             const std::vector<float>& bias, const Matrix& cos, const Matrix& sin,
                             bool interleaved) {
  std::vector<double> out(static_cast<size_t>(key.cols));
  double mean = 0;
  double variance = 0;
  for (int64_t i = 0; i < key.cols; ++i) mean += key.at(token, i) / static_cast<double>(key.cols);
  for (int64_t i = 0; i < key.cols; ++i) {
    variance += std::pow(key.at(token, i) - mean, 2) / static_cast<double>(key.cols);
  }
  for (int64_t i = 0; i < key.cols; ++i) {
    const auto at = static_cast<size_t>(i);
    out[at] = (key.at(token, i) - mean) / std::sqrt(variance + 1e-6) * weight[at] + bias[at];
  }
  const int64_t half = cos.cols;
  for (int64_t j = 0; j < half; ++j) {
    double& a = out[static_cast<size_t>(interleaved ? 2 * j : j)];
    double& b = out[static_cast<size_t>(interleaved ? 2 * j + 1 : j + half)];
    const double first = a * cos.at(token, j) - b * sin.at(token, j);
    b = b * cos.at(token, j) + a * sin.at(token, j);
    a = first;
  }
  return out;
}

class IndexerTest : public testing::TestWithParam<cpu::Isa> {
 protected:
  // Every query's choice, keys and queries fed in steps of `step`.
  std::vector<std::vector<int32_t>> Choose(const Operands& setup, int64_t step,
                                           uint32_t page_seed) {
    const Pages pages(setup.tokens, setup.dim, setup.bf16, page_seed);
    Stream stream(2, GetParam());
    std::vector<std::vector<int32_t>> out;
    for (int64_t first = 0; first < setup.tokens; first += step) {
      const int64_t count = std::min(step, setup.tokens - first);
      const TestBatch batch(first, count, pages);
      const auto rows = [&](const Matrix& matrix) {
        return MatrixView<const float>{matrix.values.data() + first * matrix.cols, count,
                                       matrix.cols, matrix.cols};
      };
      EXPECT_TRUE(IndexKeyWrite({.key = rows(key_),
                                 .weight = norm_weight_.values,
                                 .bias = norm_bias_.values,
                                 .eps = 1e-6F,
                                 .interleaved = setup.interleaved,
                                 .cos = rows(cos_),
                                 .sin = rows(sin_),
                                 .batch = batch.view(),
                                 .pages = pages.segment()},
                                stream)
                      .ok());
      std::vector<int32_t> indices(static_cast<size_t>(count * setup.topk), -1);
      std::vector<int32_t> counts(static_cast<size_t>(count));
      EXPECT_TRUE(IndexerTopk({.q = rows(q_),
                               .weights = rows(weights_),
                               .batch = batch.view(),
                               .pages = pages.segment(),
                               .topk = setup.topk,
                               .indices = {indices.data(), count, setup.topk, setup.topk},
                               .counts = counts},
                              stream)
                      .ok());
      for (int64_t t = 0; t < count; ++t) {
        const auto begin = indices.begin() + static_cast<std::ptrdiff_t>(t * setup.topk);
        out.emplace_back(begin, begin + counts[static_cast<size_t>(t)]);
      }
    }
    return out;
  }

  void Fill(const Operands& setup, uint32_t seed) {
    key_ = RandomMatrix(setup.tokens, setup.dim, seed);
    q_ = RandomMatrix(setup.tokens, setup.heads * setup.dim, seed + 1);
    weights_ = RandomMatrix(setup.tokens, setup.heads, seed + 2);
    norm_weight_ = RandomMatrix(1, setup.dim, seed + 3);
    norm_bias_ = RandomMatrix(1, setup.dim, seed + 4);
    cos_ = RandomMatrix(setup.tokens, setup.rope / 2, seed + 5);
    sin_ = RandomMatrix(setup.tokens, setup.rope / 2, seed + 6);
  }

  Matrix key_{0, 0}, q_{0, 0}, weights_{0, 0}, norm_weight_{0, 0}, norm_bias_{0, 0}, cos_{0, 0},
      sin_{0, 0};
};

// The chosen set must hold the k best but for scores closer than the arithmetic's noise.
TEST_P(IndexerTest, ChoosesTheHighestScores) {
  uint32_t seed = 40;
  for (const Operands setup : {Operands{150, 4, 32, 16, 16, false, true},
                               {150, 4, 32, 16, 16, true, true},
                               {90, 3, 18, 6, 7, true, false},
                               {70, 5, 64, 16, 40, false, false},
                               {33, 1, 2, 2, 1, true, true}}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Fill(setup, seed += 10);
    const auto choices = Choose(setup, 64, 1);
    for (int64_t t = 0; t < setup.tokens; ++t) {
      const auto& chosen = choices[static_cast<size_t>(t)];
      ASSERT_EQ(static_cast<int64_t>(chosen.size()), std::min(setup.topk, t + 1));
      std::vector<double> scores;
      double size = 0;
      for (int64_t s = 0; s <= t; ++s) {
        const auto key = NaiveKey(key_, s, norm_weight_.values, norm_bias_.values, cos_, sin_,
                                  setup.interleaved);
        double score = 0;
        for (int64_t h = 0; h < setup.heads; ++h) {
          double product = 0;
          for (int64_t d = 0; d < setup.dim; ++d) {
            product += double{Rounded(q_.at(t, h * setup.dim + d), setup.bf16)} *
                       double{Rounded(static_cast<float>(key[static_cast<size_t>(d)]), setup.bf16)};
          }
          score += double{weights_.at(t, h)} * std::max(product, 0.0);
        }
        scores.push_back(score);
        size = std::max(size, std::fabs(score));
      }
      double worst_in = INFINITY;
      double best_out = -INFINITY;
      std::vector<bool> in(scores.size(), false);
      for (const int32_t s : chosen) in[static_cast<size_t>(s)] = true;
      for (size_t s = 0; s < scores.size(); ++s) {
        if (in[s]) worst_in = std::min(worst_in, scores[s]);
        if (!in[s]) best_out = std::max(best_out, scores[s]);
      }
      // A key's bf16 rounding may fall on either side of a tie when its float32 value differs in
      // the last bit.
      const double noise = (setup.bf16 ? 1e-2 : 1e-5) * size;
      ASSERT_GE(worst_in, best_out - noise) << "token " << t;
    }
  }
}

TEST_P(IndexerTest, ChoicesDoNotDependOnStepsOrPages) {
  for (const bool bf16 : {false, true}) {
    const Operands setup{300, 4, 64, 16, 50, bf16, true};
    Fill(setup, 7);
    const auto whole = Choose(setup, 300, 1);
    for (const int64_t step : {1, 3, 8, 64, 257}) {
      EXPECT_EQ(Choose(setup, step, static_cast<uint32_t>(step)), whole) << "step " << step;
    }
  }
}

// All heads cut by ReLU: every score is zero, so the first positions win.
TEST_P(IndexerTest, TiesGoToTheLowerPosition) {
  const Operands setup{100, 2, 8, 4, 10, true, true};
  Fill(setup, 9);
  std::fill(weights_.values.begin(), weights_.values.end(), 0.0F);
  std::vector<int32_t> first(10);
  std::iota(first.begin(), first.end(), 0);
  EXPECT_EQ(Choose(setup, 100, 2).back(), first);
}

INSTANTIATE_TEST_SUITE_P(Paths, IndexerTest, testing::ValuesIn(Paths()), PathName);

}  // namespace
}  // namespace lectern::kernels
