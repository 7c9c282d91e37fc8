#include "engine/weights/dequantize.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"
#include "engine/weights/float_conversion.h"

namespace lectern::weights {
namespace {

using config::Quoted;

int64_t NumBlocks(int64_t extent) { return extent / kScaleBlock + (extent % kScaleBlock != 0); }

// [..., rows, cols] -> [..., ceil(rows / 128), ceil(cols / 128)]
std::vector<int64_t> ScaleShape(const StoredTensor& weight) {
  std::vector<int64_t> shape = weight.shape;
  for (size_t i = shape.size() - 2; i < shape.size(); ++i) shape[i] = NumBlocks(shape[i]);
  return shape;
}

absl::StatusOr<StoredTensor> FindScale(const Checkpoint& checkpoint, std::string_view name,
                                       const StoredTensor& weight) {
  if (weight.shape.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", Quoted(name), ": FP8 is read for matrices only"));
  }
  const std::string scale_name = ScaleName(name);
  ASSIGN_OR_RETURN(StoredTensor scale, checkpoint.Find(scale_name));
  if (!IsWeightDtype(scale.dtype) || scale.dtype == Dtype::kF8E4m3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor ", Quoted(scale_name), ": scales of dtype ", base::ToAbsl(DtypeName(scale.dtype))));
  }
  RETURN_IF_ERROR(CheckShape(scale_name, scale, ScaleShape(weight)));
  return scale;
}

// Multiplies rows that begin at `row_begin` of one matrix by its scales [blocks_of_rows,
// blocks_of_cols].
void ApplyScales(std::span<const float> scales, int64_t row_begin, int64_t cols,
                 std::span<float> values) {
  const int64_t blocks_in_row = NumBlocks(cols);
  const int64_t num_rows = std::ssize(values) / cols;
  for (int64_t row = 0; row < num_rows; ++row) {
    const float* row_scales = scales.data() + (row_begin + row) / kScaleBlock * blocks_in_row;
    float* row_values = values.data() + row * cols;
    for (int64_t block = 0; block < blocks_in_row; ++block) {
      const int64_t end = std::min((block + 1) * kScaleBlock, cols);
      for (int64_t col = block * kScaleBlock; col < end; ++col)
        row_values[col] *= row_scales[block];
    }
  }
}

}  // namespace

std::string ScaleName(std::string_view weight_name) {
  return absl::StrCat(base::ToAbsl(weight_name), "_scale_inv");
}

absl::Status CheckShape(std::string_view name, const StoredTensor& tensor,
                        std::span<const int64_t> shape) {
  if (std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("tensor ", Quoted(name), ": shape ",
                                                 ShapeString(tensor.shape), ", expected ",
                                                 ShapeString(shape)));
}

absl::Status CheckWeight(const Checkpoint& checkpoint, std::string_view name,
                         const StoredTensor& weight) {
  if (!IsWeightDtype(weight.dtype)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", Quoted(name), ": dtype ",
                                                   base::ToAbsl(DtypeName(weight.dtype)),
                                                   " is not one of F32, BF16, F16, F8_E4M3"));
  }
  if (weight.dtype != Dtype::kF8E4m3) return absl::OkStatus();
  return FindScale(checkpoint, name, weight).status();
}

absl::StatusOr<std::vector<float>> ReadRows(const Checkpoint& checkpoint, std::string_view name,
                                            const StoredTensor& weight, RowRange range) {
  RETURN_IF_ERROR(CheckWeight(checkpoint, name, weight));
  const size_t rank = weight.shape.size();
  LECTERN_CHECK(rank == 2 || rank == 3);
  const int64_t rows = weight.shape[rank - 2];
  const int64_t cols = weight.shape[rank - 1];
  LECTERN_CHECK(range.batch >= 0 && range.batch < (rank == 3 ? weight.shape[0] : 1));
  LECTERN_CHECK(range.row_begin >= 0 && range.num_rows >= 0 &&
                range.num_rows <= rows - range.row_begin);

  std::vector<float> values(static_cast<size_t>(range.num_rows * cols));
  const int64_t element_bytes = DtypeBytes(weight.dtype);
  const int64_t offset = (range.batch * rows + range.row_begin) * cols * element_bytes;
  WidenToFloat(weight.dtype,
               weight.data.subspan(static_cast<size_t>(offset),
                                   values.size() * static_cast<size_t>(element_bytes)),
               values);
  if (weight.dtype != Dtype::kF8E4m3 || values.empty()) return values;

  ASSIGN_OR_RETURN(const StoredTensor scale, FindScale(checkpoint, name, weight));
  const auto scales_per_matrix = static_cast<size_t>(NumBlocks(rows) * NumBlocks(cols));
  const size_t scale_bytes = scales_per_matrix * static_cast<size_t>(DtypeBytes(scale.dtype));
  std::vector<float> scales(scales_per_matrix);
  WidenToFloat(scale.dtype,
               scale.data.subspan(static_cast<size_t>(range.batch) * scale_bytes, scale_bytes),
               scales);
  ApplyScales(scales, range.row_begin, cols, values);
  return values;
}

}  // namespace lectern::weights
