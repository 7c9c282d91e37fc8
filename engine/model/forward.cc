// The CPU model: embedding, decoder layers, final norm and head over the rows asked for.

#include <algorithm>
#include <cstdio>
#include <utility>

#include "engine/base/status.h"
#include "engine/model/layer.h"
#include "engine/model/model.h"
#include "engine/model/model_weights.h"
#include "engine/model/rope_table.h"
#include "engine/model/step_check.h"
#include "engine/model/step_state.h"

namespace lectern::model {
namespace {

static_assert(cache::kPageSize == kernels::kPageSize);

// Raised whenever a change of the CPU operators can change bits.
constexpr int kKernelVersion = 1;

cache::KvLayout LayoutOf(const config::ModelConfig& config, const config::IndexCachePolicy& policy,
                         config::ComputeDtype dtype) {
  return {.dtype = dtype == config::ComputeDtype::kFloat32 ? cache::KvDtype::kFloat32
                                                           : cache::KvDtype::kBfloat16,
          .num_layers = config.num_hidden_layers,
          .num_full_layers = policy.num_full(),
          .latent_row = config.kv_lora_rank + config.qk_rope_head_dim,
          .index_row = config.index_head_dim};
}

class CpuModel final : public Model {
 public:
  CpuModel(config::ModelConfig config, config::IndexCachePolicy policy, const ModelOptions& options,
           kernels::cpu::Isa isa, ModelWeights weights)
      : config_(std::move(config)),
        policy_(std::move(policy)),
        options_(options),
        weights_(std::move(weights)),
        layout_(LayoutOf(config_, policy_, options.dtype)),
        rope_(config_),
        stream_(options.num_threads, isa),
        buffers_(config_, options.max_batch_tokens) {}

  const config::ModelConfig& config() const override { return config_; }
  const config::IndexCachePolicy& policy() const override { return policy_; }
  cache::KvLayout kv_layout() const override { return layout_; }
  std::string numerics_id() const override;
  absl::StatusOr<StepOutput> Forward(const StepInput& input) override;

 private:
  float LatentNormEps() const {
    return static_cast<float>(options_.latent_norm_eps > 0 ? options_.latent_norm_eps
                                                           : config_.rms_norm_eps);
  }
  void Prepare(const StepInput& input, StepState* state);
  absl::Status Embed(const StepInput& input, StepState* state);
  LayerPages PagesOf(int layer, const StepState& state) const;
  absl::Status RunLayers(const StepInput& input, StepState* state);
  // Tokens whose values past the last layer's cache rows anyone reads.
  void FindNeededRows(const StepInput& input);
  void RecordSelections(std::span<const int32_t> rows, const StepState& state, int full_index);
  absl::Status ComputeLogits(std::span<const int32_t> rows, const StepState& state);

  const config::ModelConfig config_;
  const config::IndexCachePolicy policy_;
  const ModelOptions options_;
  const ModelWeights weights_;
  const cache::KvLayout layout_;
  const RopeTable rope_;
  kernels::Stream stream_;
  StepBuffers buffers_;
  std::vector<float> head_rows_;     // [logit_rows, hidden]
  std::vector<float> logits_;        // [logit_rows, vocab]
  std::vector<int32_t> selections_;  // [full layers, selection_rows, index_topk]
  std::vector<int32_t> needed_rows_;
};

std::string CpuModel::numerics_id() const {
  char text[128];
  const char* dtype = options_.dtype == config::ComputeDtype::kFloat32 ? "f32" : "bf16";
  std::snprintf(text, sizeof(text), "cpu-%s-w%s-kv%s-eps%g-v%d",
                kernels::cpu::IsaName(stream_.isa()), dtype, dtype,
                static_cast<double>(LatentNormEps()), kKernelVersion);
  return text;
}

void CpuModel::Prepare(const StepInput& input, StepState* state) {
  for (size_t s = 0; s + 1 < input.cu_seqlens_q.size(); ++s) {
    std::fill(state->sequences.begin() + input.cu_seqlens_q[s],
              state->sequences.begin() + input.cu_seqlens_q[s + 1], static_cast<int32_t>(s));
  }
  std::copy(input.positions.begin(), input.positions.end(), state->positions.begin());
  state->batch = {.positions = state->positions,
                  .sequences = state->sequences,
                  .block_tables = input.block_tables,
                  .max_blocks = input.max_blocks};
  state->kv = {input.kv.base, layout_};
  rope_.Fill(input.positions, state->cos, state->sin);
  logits_.resize(input.logit_rows.size() * static_cast<size_t>(config_.vocab_size));
  head_rows_.resize(input.logit_rows.size() * static_cast<size_t>(config_.hidden_size));
  selections_.assign(static_cast<size_t>(policy_.num_full()) * input.selection_rows.size() *
                         static_cast<size_t>(config_.index_topk),
                     -1);
}

absl::Status CpuModel::Embed(const StepInput& input, StepState* state) {
  const int64_t vocab = config_.vocab_size;
  const int64_t hidden = config_.hidden_size;
  kernels::EmbeddingArgs args;
  args.ids = input.token_ids;
  args.out = state->residual;
  if (weights_.bf16_embedding.empty()) {
    args.table = {weights_.embedding.data(), vocab, hidden, hidden};
  } else {
    args.bf16_table = {weights_.bf16_embedding.data(), vocab, hidden, hidden};
  }
  return kernels::Embedding(args, stream_);
}

LayerPages CpuModel::PagesOf(int layer, const StepState& state) const {
  const int full_index = policy_.full_index(layer);
  const bool bf16 = layout_.dtype == cache::KvDtype::kBfloat16;
  LayerPages pages;
  pages.latent = {state.kv.base + layout_.latent_offset(layer), layout_.page_bytes(),
                  layout_.latent_row, bf16};
  if (full_index >= 0) {
    pages.index = {state.kv.base + layout_.index_offset(full_index), layout_.page_bytes(),
                   layout_.index_row, bf16};
  }
  return pages;
}

void CpuModel::FindNeededRows(const StepInput& input) {
  needed_rows_.assign(input.logit_rows.begin(), input.logit_rows.end());
  if (!policy_.full.back()) return;
  const auto middle = static_cast<std::ptrdiff_t>(needed_rows_.size());
  needed_rows_.insert(needed_rows_.end(), input.selection_rows.begin(), input.selection_rows.end());
  std::inplace_merge(needed_rows_.begin(), needed_rows_.begin() + middle, needed_rows_.end());
  needed_rows_.erase(std::unique(needed_rows_.begin(), needed_rows_.end()), needed_rows_.end());
}

// Where the given rows stand among the needed ones.
std::vector<int32_t> RanksIn(std::span<const int32_t> rows, const std::vector<int32_t>& needed) {
  std::vector<int32_t> out;
  for (const int32_t row : rows) {
    const auto found = std::lower_bound(needed.begin(), needed.end(), row);
    out.push_back(static_cast<int32_t>(found - needed.begin()));
  }
  return out;
}

void CpuModel::RecordSelections(std::span<const int32_t> rows, const StepState& state,
                                int full_index) {
  const auto topk = static_cast<size_t>(config_.index_topk);
  int32_t* out = selections_.data() + static_cast<size_t>(full_index) * rows.size() * topk;
  for (const int32_t row : rows) {
    const int32_t* chosen = state.indices.row(row);
    std::copy(chosen, chosen + state.counts[static_cast<size_t>(row)], out);
    out += topk;
  }
}

absl::Status CpuModel::ComputeLogits(std::span<const int32_t> logit_rows, const StepState& state) {
  if (logit_rows.empty()) return absl::OkStatus();
  const auto rows = static_cast<int64_t>(logit_rows.size());
  const int64_t hidden = config_.hidden_size;
  const kernels::MatrixView<float> normed{head_rows_.data(), rows, hidden, hidden};
  for (int64_t r = 0; r < rows; ++r) {
    const float* source = state.residual.row(logit_rows[static_cast<size_t>(r)]);
    std::copy(source, source + hidden, normed.row(r));
  }
  RETURN_IF_ERROR(kernels::RmsNorm({.x = normed,
                                    .weight = weights_.final_norm,
                                    .eps = static_cast<float>(config_.rms_norm_eps),
                                    .out = normed},
                                   stream_));
  return kernels::MatMul({.x = normed,
                          .weight = &weights_.lm_head,
                          .bias = {},
                          .out = {logits_.data(), rows, config_.vocab_size, config_.vocab_size}},
                         stream_);
}

absl::Status CpuModel::RunLayers(const StepInput& input, StepState* state) {
  const LayerContext context{config_, stream_, LatentNormEps(), SoftmaxScale(config_)};
  std::vector<int32_t> selection_rows(input.selection_rows.begin(), input.selection_rows.end());
  for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
    const LayerWeights& weights = weights_.layers[static_cast<size_t>(layer)];
    const LayerPages pages = PagesOf(layer, *state);
    RETURN_IF_ERROR(ProjectInput(context, weights, state));
    RETURN_IF_ERROR(WriteCacheRows(context, weights, pages, state));
    if (layer + 1 == config_.num_hidden_layers) {
      // Most rows of a prefill are wanted for their cache rows alone: they end here.
      if (needed_rows_.empty()) return absl::OkStatus();
      state->KeepRows(needed_rows_);
      if (weights.full) selection_rows = RanksIn(selection_rows, needed_rows_);
    }
    if (weights.full) {
      RETURN_IF_ERROR(RunIndexer(context, weights, pages, state));
      RecordSelections(selection_rows, *state, policy_.full_index(layer));
    }
    RETURN_IF_ERROR(RunAttention(context, weights, pages, state));
    RETURN_IF_ERROR(RunFeedForward(context, weights, state));
  }
  return absl::OkStatus();
}

absl::StatusOr<StepOutput> CpuModel::Forward(const StepInput& input) {
  RETURN_IF_ERROR(CheckStep(input, config_, layout_, options_.max_batch_tokens));
  StepState state(buffers_, static_cast<int64_t>(input.token_ids.size()));
  Prepare(input, &state);
  FindNeededRows(input);
  RETURN_IF_ERROR(Embed(input, &state));
  RETURN_IF_ERROR(RunLayers(input, &state));
  RETURN_IF_ERROR(ComputeLogits(RanksIn(input.logit_rows, needed_rows_), state));

  StepOutput out{.logits = logits_, .selections = {}};
  const size_t stride = input.selection_rows.size() * static_cast<size_t>(config_.index_topk);
  for (int full = 0; full < policy_.num_full(); ++full) {
    out.selections.push_back(
        std::span<const int32_t>(selections_).subspan(static_cast<size_t>(full) * stride, stride));
  }
  return out;
}

absl::Status CheckShapes(const config::ModelConfig& config, const config::IndexCachePolicy& policy,
                         const ModelOptions& options) {
  if (policy.num_layers() != config.num_hidden_layers || !policy.full[0]) {
    return absl::InvalidArgumentError("the IndexCache schedule does not fit the model");
  }
  if (options.max_batch_tokens <= 0) {
    return absl::InvalidArgumentError("max_batch_tokens must be positive");
  }
  if (config.qk_rope_head_dim % 2 != 0 || config.index_head_dim < config.qk_rope_head_dim) {
    return absl::InvalidArgumentError("qk_rope_head_dim must be even and fit index_head_dim");
  }
  if (options.dtype == config::ComputeDtype::kBfloat16 &&
      (config.index_head_dim % 2 != 0 || config.kv_lora_rank % 2 != 0)) {
    return absl::InvalidArgumentError("bfloat16 needs even index_head_dim and kv_lora_rank");
  }
  return absl::OkStatus();
}

absl::StatusOr<kernels::cpu::Isa> ChooseIsa(const std::string& name) {
  using kernels::cpu::Isa;
  const Isa best = kernels::cpu::DetectIsa();
  if (name.empty()) return best;
  for (const Isa isa : {Isa::kGeneric, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    if (isa <= best && name == kernels::cpu::IsaName(isa)) return isa;
  }
  return absl::InvalidArgumentError("instruction set " + name + " is not one this machine runs");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateCpuModel(const weights::Checkpoint& checkpoint,
                                                      const config::IndexCachePolicy& policy,
                                                      const ModelOptions& options) {
  RETURN_IF_ERROR(CheckShapes(checkpoint.config(), policy, options));
  ASSIGN_OR_RETURN(const kernels::cpu::Isa isa, ChooseIsa(options.instruction_set));
  WeightForm form = WeightForm::kFloat32;
  if (options.dtype == config::ComputeDtype::kBfloat16) {
    form = isa == kernels::cpu::Isa::kAvx512Bf16 ? WeightForm::kBf16 : WeightForm::kBf16Widened;
  }
  ASSIGN_OR_RETURN(ModelWeights weights, LoadModelWeights(checkpoint, policy, form));
  return std::make_unique<CpuModel>(checkpoint.config(), policy, options, isa, std::move(weights));
}

}  // namespace lectern::model
