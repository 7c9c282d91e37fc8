#pragma once
// The forward pass over a batch of sequences with paged KV. One implementation per device.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/cache/kv_layout.h"
#include "engine/config/engine_config.h"
#include "engine/config/index_cache_policy.h"
#include "engine/config/model_config.h"
#include "engine/weights/checkpoint.h"

namespace lectern::model {

// One step, as flat arrays built once by the runtime. Sequence s owns tokens
// [cu_seqlens_q[s], cu_seqlens_q[s+1]); its last one stands at position kv_len[s] - 1, so its first
// at kv_len[s] - q_len[s]. Pages of sequence s: block_tables[s * max_blocks + i], ceil(kv_len/64)
// valid. KV of earlier positions is already in the pages; the step writes the new tokens' rows. Any
// split of a prompt into steps, and any batch mates, give bit-identical rows.
struct StepInput {
  std::span<const int32_t> token_ids;     // [num_tokens]
  std::span<const int32_t> positions;     // [num_tokens]
  std::span<const int32_t> cu_seqlens_q;  // [num_seqs + 1]
  std::span<const int32_t> kv_len;        // [num_seqs], this step's tokens included
  std::span<const int32_t> block_tables;  // [num_seqs, max_blocks]
  int32_t max_blocks = 0;
  std::span<const int32_t> logit_rows;  // token indices whose logits are wanted, ascending
  std::span<const int32_t>
      selection_rows;  // token indices whose top-k choices are wanted, ascending
  cache::KvPagesView kv;
};

// Owned by the model, valid until the next Forward.
struct StepOutput {
  std::span<const float> logits;  // [logit_rows.size(), vocab_size]
  // [num_full_layers][selection_rows.size()][index_topk] positions, ascending, -1 padded. A row
  // that sees at most index_topk keys lists all of them.
  std::vector<std::span<const int32_t>> selections;
};

struct ModelOptions {
  config::ComputeDtype dtype = config::ComputeDtype::kBfloat16;
  double latent_norm_eps = 0.0;  // <= 0: the model's rms_norm_eps
  int num_threads = 0;           // 0: every core
  int max_batch_tokens = 512;    // scratch is carved for this many; larger steps are refused
  // Of the CPU paths generic, avx2, avx512 and avx512bf16; empty: the best this machine runs. Part
  // of numerics_id. For tests and comparisons.
  std::string instruction_set = {};
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const config::ModelConfig& config() const = 0;
  virtual const config::IndexCachePolicy& policy() const = 0;
  virtual cache::KvLayout kv_layout() const = 0;
  // What differs in bits never meets: backend, instruction-set path, dtypes, kernel version, eps.
  // Part of every page key.
  virtual std::string numerics_id() const = 0;
  // Not thread safe: one caller, the step loop. Allocates nothing that grows with the context but
  // bounded scratch. Errors are the caller's faults (InvalidArgument: sizes disagree or exceed the
  // options).
  virtual absl::StatusOr<StepOutput> Forward(const StepInput& input) = 0;
};

// Loads, converts and packs the weights. InvalidArgument names the tensor that is missing or
// misshapen.
absl::StatusOr<std::unique_ptr<Model>> CreateCpuModel(const weights::Checkpoint& checkpoint,
                                                      const config::IndexCachePolicy& policy,
                                                      const ModelOptions& options);

}  // namespace lectern::model
