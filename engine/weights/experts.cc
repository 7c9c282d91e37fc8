// Experts of a MoE layer, fused or one by one, behind one pair of functions (checkpoint.h).

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/dequantize.h"
#include "engine/weights/tensor_schema.h"

namespace lectern::weights {
namespace {

// Where one expert's matrix lies.
struct ExpertLocation {
  std::string name;
  StoredTensor tensor;
  RowRange rows;
};

absl::StatusOr<ExpertLocation> Locate(const Checkpoint& checkpoint, int layer, int expert,
                                      ExpertMatrix matrix) {
  const config::ModelConfig& config = checkpoint.config();
  if (layer < 0 || layer >= config.num_hidden_layers || expert < 0 ||
      expert >= config.n_routed_experts) {
    return absl::InvalidArgumentError(absl::StrCat("no expert ", expert, " in layer ", layer));
  }
  const int64_t width = config.moe_intermediate_size;
  const int64_t hidden = config.hidden_size;
  const bool down = matrix == ExpertMatrix::kDown;
  const int64_t num_rows = down ? hidden : width;
  const int64_t num_cols = down ? width : hidden;
  ExpertLocation location;
  std::vector<int64_t> shape;
  if (HasFusedExperts(checkpoint, layer)) {
    location.name = down ? FusedDownName(layer) : FusedGateUpName(layer);
    shape = {config.n_routed_experts, down ? hidden : 2 * width, num_cols};
    location.rows = {expert, matrix == ExpertMatrix::kUp ? width : 0, num_rows};
  } else {
    location.name = ExpertName(layer, expert, matrix);
    shape = {num_rows, num_cols};
    location.rows = {0, 0, num_rows};
  }
  ASSIGN_OR_RETURN(location.tensor, checkpoint.Find(location.name));
  RETURN_IF_ERROR(CheckShape(location.name, location.tensor, shape));
  return location;
}

}  // namespace

bool HasFusedExperts(const Checkpoint& checkpoint, int layer) {
  return checkpoint.Has(FusedGateUpName(layer));
}

absl::StatusOr<StoredTensor> FindExpert(const Checkpoint& checkpoint, int layer, int expert,
                                        ExpertMatrix matrix) {
  ASSIGN_OR_RETURN(const ExpertLocation location, Locate(checkpoint, layer, expert, matrix));
  const StoredTensor& stored = location.tensor;
  if (stored.dtype == Dtype::kF8E4m3) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor '", location.name, "': FP8 experts are read as float"));
  }
  RETURN_IF_ERROR(CheckWeight(checkpoint, location.name, stored));
  const int64_t rows = stored.shape[stored.shape.size() - 2];
  const int64_t row_bytes = stored.shape.back() * DtypeBytes(stored.dtype);
  StoredTensor slice;
  slice.dtype = stored.dtype;
  slice.shape = {location.rows.num_rows, stored.shape.back()};
  slice.data = stored.data.subspan(
      static_cast<size_t>((location.rows.batch * rows + location.rows.row_begin) * row_bytes),
      static_cast<size_t>(location.rows.num_rows * row_bytes));
  return slice;
}

absl::StatusOr<std::vector<float>> ReadExpertFloat(const Checkpoint& checkpoint, int layer,
                                                   int expert, ExpertMatrix matrix) {
  ASSIGN_OR_RETURN(const ExpertLocation location, Locate(checkpoint, layer, expert, matrix));
  return ReadRows(checkpoint, location.name, location.tensor, location.rows);
}

}  // namespace lectern::weights
