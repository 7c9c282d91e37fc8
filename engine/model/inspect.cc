#include "engine/inspect.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "engine/base/status.h"
#include "engine/model/model.h"
#include "kernels/tensor.h"

namespace lectern {
namespace {

using model::StepInput;
using model::StepOutput;

// Steps larger than this bring nothing but memory.
constexpr int kDefaultStep = 512;

// Pages of one sequence, in order.
class SequencePages {
 public:
  SequencePages(const cache::KvLayout& layout, int64_t num_tokens)
      : num_pages_((num_tokens + cache::kPageSize - 1) / cache::kPageSize),
        bytes_(num_pages_ * layout.page_bytes()),
        view_{bytes_.data(), layout} {
    for (int64_t page = 0; page < num_pages_; ++page) {
      block_table_.push_back(static_cast<int32_t>(page));
    }
  }

  // One step over ids, which stand at [begin, begin + ids.size()).
  absl::StatusOr<StepOutput> Step(model::Model& model, std::span<const int32_t> ids, int64_t begin,
                                  bool all_logits, bool selections) {
    const auto count = static_cast<int32_t>(ids.size());
    std::vector<int32_t> rows(ids.size());
    std::vector<int32_t> positions(ids.size());
    for (int32_t i = 0; i < count; ++i) {
      rows[static_cast<size_t>(i)] = i;
      positions[static_cast<size_t>(i)] = static_cast<int32_t>(begin) + i;
    }
    const int32_t bounds[] = {0, count};
    const int32_t length[] = {static_cast<int32_t>(begin) + count};
    const std::span<const int32_t> all(rows);
    StepInput input;
    input.token_ids = ids;
    input.positions = positions;
    input.cu_seqlens_q = bounds;
    input.kv_len = length;
    input.block_tables = block_table_;
    input.max_blocks = static_cast<int32_t>(num_pages_);
    input.logit_rows = all_logits ? all : all.last(1);
    input.selection_rows = selections ? all : all.first(0);
    input.kv = view_;
    return model.Forward(input);
  }

 private:
  int64_t num_pages_;
  kernels::AlignedBuffer<std::byte> bytes_;
  cache::KvPagesView view_;
  std::vector<int32_t> block_table_;
};

int32_t ArgMax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double NegativeLogLikelihood(std::span<const float> logits, int32_t id) {
  const double best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return std::log(sum) + best - static_cast<double>(logits[static_cast<size_t>(id)]);
}

class ModelInspector final : public Inspector {
 public:
  ModelInspector(std::unique_ptr<weights::Checkpoint> checkpoint, config::IndexCachePolicy policy,
                 std::vector<std::string> warnings, const InspectOptions& options)
      : checkpoint_(std::move(checkpoint)),
        policy_(std::move(policy)),
        warnings_(std::move(warnings)),
        options_(options) {}

  const config::ModelConfig& config() const override { return checkpoint_->config(); }
  const config::IndexCachePolicy& policy() const override { return policy_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }

  absl::StatusOr<InspectResult> Run(std::span<const int32_t> ids, int chunk,
                                    bool want_topk) override {
    const auto topk = static_cast<size_t>(config().index_topk);
    const bool record = want_topk && topk < ids.size();
    InspectResult out;
    out.logits.reserve(ids.size() * static_cast<size_t>(config().vocab_size));
    const auto keep = [&](int64_t, const StepOutput& step) {
      out.logits.insert(out.logits.end(), step.logits.begin(), step.logits.end());
      for (int layer = 0; record && layer < policy_.num_layers(); ++layer) {
        if (policy_.full_index(layer) < 0) continue;
        const auto chosen = step.selections[static_cast<size_t>(policy_.full_index(layer))];
        std::vector<int32_t>& rows = out.topk[layer];
        rows.insert(rows.end(), chosen.begin(), chosen.end());
      }
    };
    RETURN_IF_ERROR(
        Prefill(ids, chunk, 0, {.all_logits = true, .selections = record}, keep).status());
    return out;
  }

  absl::StatusOr<std::vector<int32_t>> Greedy(std::span<const int32_t> ids, int count,
                                              int chunk) override {
    std::vector<int32_t> out;
    if (count <= 0) return out;
    int32_t next = 0;
    const auto choose = [&](int64_t, const StepOutput& step) { next = ArgMax(step.logits); };
    ASSIGN_OR_RETURN(SequencePages pages, Prefill(ids, chunk, count, {}, choose));
    out.push_back(next);
    while (out.size() < static_cast<size_t>(count)) {
      const auto position = static_cast<int64_t>(ids.size() + out.size() - 1);
      ASSIGN_OR_RETURN(const StepOutput step,
                       pages.Step(*model_, {&out.back(), 1}, position, false, false));
      next = ArgMax(step.logits);
      out.push_back(next);
    }
    return out;
  }

  absl::StatusOr<std::vector<float>> NextTokenLoss(std::span<const int32_t> ids,
                                                   int chunk) override {
    std::vector<float> out;
    const auto vocab = static_cast<size_t>(config().vocab_size);
    const auto keep = [&](int64_t begin, const StepOutput& step) {
      for (size_t row = 0; row < step.logits.size() / vocab; ++row) {
        const size_t next = static_cast<size_t>(begin) + row + 1;
        if (next >= ids.size()) return;
        out.push_back(static_cast<float>(
            NegativeLogLikelihood(step.logits.subspan(row * vocab, vocab), ids[next])));
      }
    };
    RETURN_IF_ERROR(
        Prefill(ids, chunk > 0 ? chunk : kDefaultStep, 0, {.all_logits = true}, keep).status());
    return out;
  }

 private:
  struct Wanted {
    bool all_logits = false;
    bool selections = false;
  };
  using OnStep = std::function<void(int64_t begin, const StepOutput& step)>;

  // Feeds `ids` in chunks; the pages have room for `more` tokens.
  absl::StatusOr<SequencePages> Prefill(std::span<const int32_t> ids, int chunk, int64_t more,
                                        Wanted wanted, const OnStep& on_step) {
    if (ids.empty()) return absl::InvalidArgumentError("a sequence has no tokens");
    const size_t step = chunk > 0 ? static_cast<size_t>(chunk) : ids.size();
    RETURN_IF_ERROR(CreateModel(static_cast<int>(std::min(step, ids.size()))));
    SequencePages pages(model_->kv_layout(), static_cast<int64_t>(ids.size()) + more);
    for (size_t begin = 0; begin < ids.size(); begin += step) {
      const auto part = ids.subspan(begin, std::min(step, ids.size() - begin));
      const auto at = static_cast<int64_t>(begin);
      ASSIGN_OR_RETURN(const StepOutput out,
                       pages.Step(*model_, part, at, wanted.all_logits, wanted.selections));
      on_step(at, out);
    }
    return pages;
  }

  // A model is carved for its largest step: made again when a larger one comes.
  absl::Status CreateModel(int step) {
    if (model_ != nullptr && step <= largest_step_) return absl::OkStatus();
    largest_step_ = std::max(step, kDefaultStep);
    model_.reset();
    ASSIGN_OR_RETURN(model_, model::CreateCpuModel(*checkpoint_, policy_,
                                                   {.dtype = options_.dtype,
                                                    .latent_norm_eps = options_.latent_norm_eps,
                                                    .num_threads = options_.num_threads,
                                                    .max_batch_tokens = largest_step_,
                                                    .instruction_set = options_.instruction_set}));
    return absl::OkStatus();
  }

  std::unique_ptr<weights::Checkpoint> checkpoint_;
  const config::IndexCachePolicy policy_;
  const std::vector<std::string> warnings_;
  const InspectOptions options_;
  std::unique_ptr<model::Model> model_;
  int largest_step_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Inspector>> Inspector::Open(const std::string& directory,
                                                           const InspectOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<weights::Checkpoint> checkpoint,
                   weights::Checkpoint::Open(directory));
  const config::ModelConfig& config = checkpoint->config();
  std::vector<std::string> warnings;
  ASSIGN_OR_RETURN(config::IndexCachePolicy policy,
                   config::MakeIndexCachePolicy(config.num_hidden_layers, config.index_cache,
                                                options.index_cache,
                                                checkpoint->LayersWithIndexer(), &warnings));
  return std::make_unique<ModelInspector>(std::move(checkpoint), std::move(policy),
                                          std::move(warnings), options);
}

}  // namespace lectern
