// VerifyCheckpoint (checkpoint.h): the walk over everything the model will ask for.

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/dequantize.h"
#include "engine/weights/tensor_schema.h"

namespace lectern::weights {
namespace {

using config::Quoted;

// The layer in "model.layers.7.…", -1 where there is none.
int LayerOf(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return -1;
  name.remove_prefix(kPrefix.size());
  const std::string_view number = name.substr(0, name.find('.'));
  int layer = -1;
  return absl::SimpleAtoi(base::ToAbsl(number), &layer) ? layer : -1;
}

// Checks the tensors of `specs` and adds their names, scales included, to `used`.
absl::Status CheckTensors(const Checkpoint& checkpoint, const std::vector<TensorSpec>& specs,
                          std::set<std::string>& used, CheckpointReport& report) {
  for (const TensorSpec& spec : specs) {
    ASSIGN_OR_RETURN(const StoredTensor tensor, checkpoint.Find(spec.name));
    RETURN_IF_ERROR(CheckShape(spec.name, tensor, spec.shape));
    RETURN_IF_ERROR(CheckWeight(checkpoint, spec.name, tensor));
    used.insert(spec.name);
    if (tensor.dtype == Dtype::kF8E4m3) used.insert(ScaleName(spec.name));
    report.num_parameters += tensor.num_elements();
  }
  return absl::OkStatus();
}

void CountUnused(const Checkpoint& checkpoint, const std::set<std::string>& used,
                 CheckpointReport& report) {
  const int num_layers = checkpoint.config().num_hidden_layers;
  int64_t num_unknown = 0;
  std::string example;
  for (const std::string& name : checkpoint.Names()) {
    if (used.contains(name)) continue;
    ++report.num_unused;
    const int layer = LayerOf(name);
    if (layer >= num_layers) {
      ++report.num_unused_mtp;
    } else if (layer >= 0 && name.find(".self_attn.indexer.") != std::string::npos) {
      ++report.num_unused_shared_indexer;
    } else if (num_unknown++ == 0) {
      example = name;
    }
  }
  if (num_unknown > 0) {
    report.warnings.push_back(
        absl::StrCat(num_unknown, " tensors are not of this model, for example ", Quoted(example)));
  }
}

}  // namespace

absl::StatusOr<CheckpointReport> VerifyCheckpoint(
    const Checkpoint& checkpoint, const config::IndexCacheOverride& override_fields) {
  const config::ModelConfig& config = checkpoint.config();
  CheckpointReport report;
  ASSIGN_OR_RETURN(report.policy, config::MakeIndexCachePolicy(
                                      config.num_hidden_layers, config.index_cache, override_fields,
                                      checkpoint.LayersWithIndexer(), &report.warnings));
  const auto fused = [&checkpoint](int layer) { return HasFusedExperts(checkpoint, layer); };
  std::set<std::string> used;
  RETURN_IF_ERROR(
      CheckTensors(checkpoint, ModelTensors(config, report.policy, fused), used, report));
  CountUnused(checkpoint, used, report);
  for (const std::string& name : checkpoint.Names()) {
    ASSIGN_OR_RETURN(const StoredTensor tensor, checkpoint.Find(name));
    ++report.num_tensors;
    report.bytes += std::ssize(tensor.data);
  }
  return report;
}

}  // namespace lectern::weights
