#pragma once
// A Hugging Face checkpoint directory: config.json, one model.safetensors or shards with
// model.safetensors.index.json. Files are mapped read-only; tensors are widened on request.
// Layout: safetensors, u64 little-endian header length, JSON header, data without gaps or overlaps.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/sha256.h"
#include "engine/config/index_cache_policy.h"
#include "engine/config/model_config.h"
#include "engine/weights/dtype.h"
#include "engine/weights/stored_tensor.h"

namespace lectern::weights {

// Thread safe after Open. Holds the mappings.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  // NotFound: no such directory or file. InvalidArgument: names the file and the field that is bad
  // (header over 100 MB, offsets outside the file, gaps, overlaps, duplicate names, a shard that
  // lacks a tensor of the index, sizes that disagree with dtype x shape).
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& directory);

  virtual const config::ModelConfig& config() const = 0;
  virtual bool Has(std::string_view name) const = 0;
  virtual std::vector<std::string> Names() const = 0;
  virtual absl::StatusOr<StoredTensor> Find(std::string_view name) const = 0;

  // The tensor as float32, row major, checked against `shape`. FP8 weights are multiplied by
  // NAME_scale_inv [ceil(rows/128), ceil(cols/128)] blockwise. Does not apply to integers.
  // NotFound / InvalidArgument name the tensor.
  virtual absl::StatusOr<std::vector<float>> ReadFloat(std::string_view name,
                                                       std::span<const int64_t> shape) const = 0;

  // [num_hidden_layers] whether layer i carries indexer weights.
  virtual std::vector<bool> LayersWithIndexer() const = 0;

  // Identity of the weights and config: SHA-256 over config.json and, for every tensor in name
  // order, name, dtype, shape and bytes. Part of every page key. Computed on the first call.
  virtual base::Sha256Digest Fingerprint() const = 0;
};

// Experts are stored one by one (mlp.experts.E.gate_proj.weight ...) or fused by layer
// (mlp.experts.gate_up_proj [E, 2I, H], gate first; mlp.experts.down_proj [E, H, I]). These two
// read one expert's matrix from either form. kGate and kUp are [moe_intermediate_size,
// hidden_size], kDown is [hidden_size, moe_intermediate_size]; shapes are checked against config().
enum class ExpertMatrix { kGate, kUp, kDown };
bool HasFusedExperts(const Checkpoint& checkpoint, int layer);

// As stored, a view into the mapping. InvalidArgument also for FP8, whose scale blocks may straddle
// the gate and up halves of a fused tensor: read those as float.
absl::StatusOr<StoredTensor> FindExpert(const Checkpoint& checkpoint, int layer, int expert,
                                        ExpertMatrix matrix);
// As float32, FP8 scales applied (fused: gate_up_proj_scale_inv [E, ceil(2I/128), ceil(H/128)] and
// so on).
absl::StatusOr<std::vector<float>> ReadExpertFloat(const Checkpoint& checkpoint, int layer,
                                                   int expert, ExpertMatrix matrix);

// Names, shapes, dtypes and IndexCache schedule of a whole checkpoint, as `lectern verify` prints.
// Every tensor the model will ask for exists with the right shape, or the first that does not is
// named.
struct CheckpointReport {
  int64_t num_tensors = 0;
  int64_t num_parameters = 0;  // elements of the tensors that the model uses, FP8 scales left out
  int64_t bytes = 0;           // of all tensors
  int64_t num_unused = 0;      // tensors that the model does not use
  int64_t num_unused_mtp = 0;  // of these: layers after the last, for multi-token prediction
  int64_t num_unused_shared_indexer = 0;  // of these: indexers of Shared layers
  std::vector<std::string> warnings;
  config::IndexCachePolicy policy;
};
absl::StatusOr<CheckpointReport> VerifyCheckpoint(
    const Checkpoint& checkpoint, const config::IndexCacheOverride& override_fields);

}  // namespace lectern::weights
