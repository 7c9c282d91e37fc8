// Matrix products against double precision, and rows that do not depend on how many there are.

#include <cmath>

#include "tests/kernels/testing.h"

namespace lectern::kernels {
namespace {

struct Shape {
  int64_t rows, n, k;
};

class MatMulTest : public testing::TestWithParam<cpu::Isa> {
 protected:
  // float32 always, bf16 where the path has it.
  std::vector<bool> Forms() const {
    if (GetParam() == cpu::Isa::kAvx512Bf16) return {false, true};
    return {false};
  }
};

// Sums of k float32 terms: error below k ulps of the sum of magnitudes.
void ExpectProduct(const Matrix& x, const Matrix& weight, const std::vector<float>& bias,
                   const Matrix& before, bool bf16, const Matrix& out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t n = 0; n < weight.rows; ++n) {
      double sum = before.at(r, n);
      double size = std::fabs(sum) + 1e-6;
      for (int64_t k = 0; k < x.cols; ++k) {
        const double term =
            double{Rounded(x.at(r, k), bf16)} * double{Rounded(weight.at(n, k), bf16)};
        sum += term;
        size += std::fabs(term);
      }
      if (!bias.empty()) sum += bias[static_cast<size_t>(n)];
      ASSERT_NEAR(out.at(r, n), sum, 4e-7 * size * std::sqrt(static_cast<double>(x.cols) + 16))
          << "row " << r << " column " << n;
    }
  }
}

TEST_P(MatMulTest, MatchesDoublePrecision) {
  uint32_t seed = 17;
  for (const Shape shape : {Shape{1, 1, 1},
                            {1, 16, 8},
                            {2, 17, 9},
                            {5, 64, 48},
                            {7, 130, 33},
                            {48, 144, 320},
                            {97, 80, 64},
                            {200, 31, 5},
                            {0, 16, 16}}) {
    for (const bool bf16 : Forms()) {
      for (const bool accumulate : {false, true}) {
        SCOPED_TRACE("seed " + std::to_string(seed) + " rows " + std::to_string(shape.rows));
        const Matrix x = RandomMatrix(shape.rows, shape.k, seed++);
        const Matrix weight = RandomMatrix(shape.n, shape.k, seed++);
        const std::vector<float> bias = RandomMatrix(1, shape.n, seed++).values;
        Matrix out = RandomMatrix(shape.rows, shape.n, seed++);
        const Matrix before = accumulate ? out : Matrix(shape.rows, shape.n);
        const PackedMatrix packed = PackedMatrix::Pack(weight.view(), bf16);
        Stream stream(3, GetParam());
        ASSERT_TRUE(MatMul({.x = x.view(),
                            .weight = &packed,
                            .bias = bias,
                            .accumulate = accumulate,
                            .out = out.view()},
                           stream)
                        .ok());
        ExpectProduct(x, weight, bias, before, bf16, out);
      }
    }
  }
}

// The shapes of the default model, and ragged ones: every row alone, in blocks and among many has
// equal bits.
TEST_P(MatMulTest, RowsDoNotDependOnTheirNumber) {
  for (const Shape shape : {Shape{300, 400, 320},
                            {300, 640, 192},
                            {300, 128, 48},
                            {300, 320, 384},
                            {203, 1536, 320},
                            {203, 320, 768},
                            {131, 37, 19}}) {
    for (const bool bf16 : Forms()) {
      const Matrix x = RandomMatrix(shape.rows, shape.k, 5);
      const PackedMatrix packed =
          PackedMatrix::Pack(RandomMatrix(shape.n, shape.k, 6).view(), bf16);
      Stream stream(2, GetParam());
      Matrix whole(shape.rows, shape.n);
      ASSERT_TRUE(
          MatMul({.x = x.view(), .weight = &packed, .bias = {}, .out = whole.view()}, stream).ok());
      for (const int64_t step : {1, 2, 5, 6, 47, 64, 96, 101}) {
        Matrix parts(shape.rows, shape.n);
        for (int64_t row = 0; row < shape.rows; row += step) {
          const int64_t rows = std::min(step, shape.rows - row);
          ASSERT_TRUE(MatMul({.x = {x.values.data() + row * shape.k, rows, shape.k, shape.k},
                              .weight = &packed,
                              .bias = {},
                              .out = {parts.view().row(row), rows, shape.n, shape.n}},
                             stream)
                          .ok());
        }
        ASSERT_EQ(parts.values, whole.values) << "step " << step << " n " << shape.n;
      }
    }
  }
}

TEST_P(MatMulTest, DenseMlpRowsDoNotDependOnTheirNumber) {
  for (const bool bf16 : Forms()) {
    const Matrix x = RandomMatrix(250, 64, 1);
    const PackedMatrix both = PackedMatrix::Pack(RandomMatrix(2 * 100, 64, 2, 0.2F).view(), bf16);
    const PackedMatrix down = PackedMatrix::Pack(RandomMatrix(64, 100, 3, 0.2F).view(), bf16);
    const Matrix residual = RandomMatrix(250, 64, 4);
    Stream stream(2, GetParam());
    Matrix whole = residual;
    ASSERT_TRUE(
        DenseMlp({.x = x.view(), .gate_up = &both, .down = &down, .out = whole.view()}, stream)
            .ok());
    for (const int64_t step : {1, 7, 60, 128}) {
      Matrix parts = residual;
      for (int64_t row = 0; row < 250; row += step) {
        const int64_t rows = std::min<int64_t>(step, 250 - row);
        ASSERT_TRUE(DenseMlp({.x = {x.values.data() + row * 64, rows, 64, 64},
                              .gate_up = &both,
                              .down = &down,
                              .out = {parts.view().row(row), rows, 64, 64}},
                             stream)
                        .ok());
      }
      ASSERT_EQ(parts.values, whole.values) << "step " << step;
    }
  }
}

TEST_P(MatMulTest, DenseMlpMatchesDoublePrecision) {
  const Matrix x = RandomMatrix(3, 20, 1);
  const Matrix both = RandomMatrix(2 * 13, 20, 2, 0.5F);
  const Matrix down = RandomMatrix(20, 13, 3, 0.5F);
  const PackedMatrix packed_both = PackedMatrix::Pack(both.view(), false);
  const PackedMatrix packed_down = PackedMatrix::Pack(down.view(), false);
  Matrix out(3, 20);
  Stream stream(1, GetParam());
  ASSERT_TRUE(
      DenseMlp({.x = x.view(), .gate_up = &packed_both, .down = &packed_down, .out = out.view()},
               stream)
          .ok());
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t n = 0; n < 20; ++n) {
      double sum = 0;
      for (int64_t i = 0; i < 13; ++i) {
        double gate = 0;
        double up = 0;
        for (int64_t k = 0; k < 20; ++k) {
          gate += double{x.at(r, k)} * double{both.at(i, k)};
          up += double{x.at(r, k)} * double{both.at(13 + i, k)};
        }
        sum += gate / (1.0 + std::exp(-gate)) * up * double{down.at(n, i)};
      }
      EXPECT_NEAR(out.at(r, n), sum, 1e-4);
    }
  }
}

TEST(MatMulArguments, DisagreeingShapesAreRefused) {
  const PackedMatrix packed = PackedMatrix::Pack(RandomMatrix(8, 4, 1).view(), false);
  const Matrix x(2, 5);
  Matrix out(2, 8);
  Stream stream(1);
  EXPECT_EQ(
      MatMul({.x = x.view(), .weight = &packed, .bias = {}, .out = out.view()}, stream).code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      MatMul({.x = x.view(), .weight = nullptr, .bias = {}, .out = out.view()}, stream).code(),
      absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Paths, MatMulTest, testing::ValuesIn(Paths()), PathName);

}  // namespace
}  // namespace lectern::kernels
