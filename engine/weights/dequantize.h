#pragma once
// FP8 weights with one scale a block of 128 x 128, as DeepSeek-V3.2 and GLM publish them:
// W[r, c] = F8[r, c] * weight_scale_inv[r / 128, c / 128] (multiplied, despite the name).

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/weights/checkpoint.h"

namespace lectern::weights {

inline constexpr int64_t kScaleBlock = 128;

// Rows [row_begin, row_begin + num_rows) of matrix `batch` of a tensor seen as [batches, rows,
// cols].
struct RowRange {
  int64_t batch = 0;
  int64_t row_begin = 0;
  int64_t num_rows = 0;
};

// Name of the scales beside an FP8 tensor.
std::string ScaleName(std::string_view weight_name);

// OK where `weight` can be widened: a weight dtype and, for FP8, at least two dimensions and scales
// of the right shape and dtype in `checkpoint`. InvalidArgument and NotFound name the tensor.
absl::Status CheckWeight(const Checkpoint& checkpoint, std::string_view name,
                         const StoredTensor& weight);

// The rows as float32, [num_rows, cols]. The range must lie inside the tensor, which has two
// dimensions or three. Errors as CheckWeight.
absl::StatusOr<std::vector<float>> ReadRows(const Checkpoint& checkpoint, std::string_view name,
                                            const StoredTensor& weight, RowRange range);

// InvalidArgument, with both shapes, where tensor `name` is not of `shape`.
absl::Status CheckShape(std::string_view name, const StoredTensor& tensor,
                        std::span<const int64_t> shape);

}  // namespace lectern::weights
