#pragma once
// Random operands, pages and the list of paths this machine runs.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace lectern::kernels {

inline std::vector<cpu::Isa> Paths() {
  std::vector<cpu::Isa> out;
  for (const cpu::Isa isa :
       {cpu::Isa::kGeneric, cpu::Isa::kAvx2, cpu::Isa::kAvx512, cpu::Isa::kAvx512Bf16}) {
    if (isa <= cpu::DetectIsa()) out.push_back(isa);
  }
  return out;
}

inline std::string PathName(const testing::TestParamInfo<cpu::Isa>& info) {
  return cpu::IsaName(info.param);
}

// A matrix that owns its values.
struct Matrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> values;

  Matrix(int64_t r, int64_t c) : rows(r), cols(c), values(static_cast<size_t>(r * c)) {}
  float& at(int64_t r, int64_t c) { return values[static_cast<size_t>(r * cols + c)]; }
  float at(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * cols + c)]; }
  MatrixView<float> view() { return {values.data(), rows, cols, cols}; }
  MatrixView<const float> view() const { return {values.data(), rows, cols, cols}; }
};

// The seed is printed with every failure of the test.
inline Matrix RandomMatrix(int64_t rows, int64_t cols, uint32_t seed, float scale = 1.0F) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  Matrix out(rows, cols);
  for (float& value : out.values) value = normal(engine);
  return out;
}

inline float Rounded(float value, bool bf16) { return bf16 ? ToFloat(ToBf16(value)) : value; }

// One sequence over pages in scattered order.
struct Pages {
  Pages(int64_t num_tokens, int64_t row_elements, bool use_bf16, uint32_t seed)
      : row(row_elements), bf16(use_bf16) {
    const int64_t count = (num_tokens + kPageSize - 1) / kPageSize;
    for (int64_t page = 0; page < count; ++page) table.push_back(static_cast<int32_t>(page));
    std::mt19937 engine(seed);
    std::shuffle(table.begin(), table.end(), engine);
    bytes = AlignedBuffer<std::byte>(count * stride());
  }
  int64_t stride() const { return kPageSize * row * (bf16 ? 2 : 4) + 64; }
  PagedSegment segment() const { return {bytes.data(), stride(), row, bf16}; }

  int64_t row;
  bool bf16;
  std::vector<int32_t> table;
  AlignedBuffer<std::byte> bytes;
};

// Tokens [first, first + count) of the one sequence.
struct TestBatch {
  TestBatch(int64_t first, int64_t count, const Pages& pages)
      : sequences(static_cast<size_t>(count), 0), table(pages.table) {
    for (int64_t i = 0; i < count; ++i) positions.push_back(static_cast<int32_t>(first + i));
  }
  BatchView view() const {
    return {positions, sequences, table, static_cast<int64_t>(table.size())};
  }

  std::vector<int32_t> positions;
  std::vector<int32_t> sequences;
  std::vector<int32_t> table;
};

}  // namespace lectern::kernels
