#pragma once
// Logits, losses and selections of whole sequences, for the commands logits, calibrate and bench
// alone. The service never sees these.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/config/index_cache_policy.h"
#include "engine/config/model_config.h"

namespace lectern {

struct InspectOptions {
  config::ComputeDtype dtype = config::ComputeDtype::kFloat32;
  double latent_norm_eps = 0.0;  // of the q_a and kv_a norms; <= 0: the model's rms_norm_eps
  config::IndexCacheOverride index_cache;
  int num_threads = 0;               // 0: every core
  std::string instruction_set = {};  // as in model::ModelOptions; for tests
};

struct InspectResult {
  std::vector<float> logits;  // [num_tokens, vocab_size]
  // By layer, Full layers only: [num_tokens, index_topk] positions, ascending, padded with -1.
  // Empty where index_topk >= num_tokens or where selections were not asked for.
  std::map<int, std::vector<int32_t>> topk;
};

// Runs each sequence alone over pages of its own. Not thread safe.
class Inspector {
 public:
  virtual ~Inspector() = default;

  // Errors of the checkpoint and of the schedule, as Checkpoint::Open and MakeIndexCachePolicy give
  // them.
  static absl::StatusOr<std::unique_ptr<Inspector>> Open(const std::string& directory,
                                                         const InspectOptions& options);

  virtual const config::ModelConfig& config() const = 0;
  virtual const config::IndexCachePolicy& policy() const = 0;
  virtual const std::vector<std::string>& warnings() const = 0;

  // `chunk` tokens a step; <= 0: the whole sequence at once. InvalidArgument: no tokens, or one
  // outside the vocabulary.
  virtual absl::StatusOr<InspectResult> Run(std::span<const int32_t> ids, int chunk,
                                            bool want_topk) = 0;
  // The `count` tokens of highest logit (of equal ones the lowest) that follow `ids`, by cached
  // decoding. End-of-sequence ids are not special.
  virtual absl::StatusOr<std::vector<int32_t>> Greedy(std::span<const int32_t> ids, int count,
                                                      int chunk) = 0;
  // -log softmax(logits[t])[ids[t + 1]] for t < T - 1, softmax in double. Holds one chunk's logits
  // only.
  virtual absl::StatusOr<std::vector<float>> NextTokenLoss(std::span<const int32_t> ids,
                                                           int chunk) = 0;
};

struct LogitsFileOptions {
  std::string model_directory;
  std::string input;   // safetensors: every int32 or int64 tensor NAME.input_ids [T] is a sequence
  std::string output;  // safetensors, replaced
  InspectOptions inspect;
  int chunk = 0;   // <= 0: whole sequences
  int greedy = 0;  // tokens to continue each sequence by
};

// Writes NAME.logits [T, vocab] f32, NAME.topk.L [T, index_topk] i32 for each Full layer L (absent
// where index_topk >= T) and, with greedy > 0, NAME.greedy_ids [greedy] i32. Other tensors of the
// input are not read. InvalidArgument: no sequence in the input, one that is not one-dimensional,
// or a bad token.
absl::Status RunLogitsFile(const LogitsFileOptions& options);

}  // namespace lectern
