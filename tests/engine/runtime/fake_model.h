#pragma once
// A model without weights whose next token depends on every byte of every row before it: one wrong,
// missing or misplaced page changes the answer. Rows are hash chains over the tokens.

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <vector>

#include "engine/model/model.h"

namespace lectern::runtime {

class FakeModel final : public model::Model {
 public:
  static constexpr int kVocab = 97;
  static constexpr int kTopk = 16;

  // What tests may turn while the engine runs.
  struct Controls {
    std::atomic<int> fail_steps{0};  // so many steps fail
    std::mutex mutex;
    std::condition_variable changed;
    bool hold = false;  // steps wait
    int steps = 0;      // begun
    std::vector<int> step_tokens;

    void Hold(bool value) {
      {
        const std::lock_guard lock(mutex);
        hold = value;
      }
      changed.notify_all();
    }
    void AwaitSteps(int count) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return steps >= count; });
    }
  };

  explicit FakeModel(Controls* controls) : controls_(controls) {
    config_.num_hidden_layers = 4;
    config_.vocab_size = kVocab;
    config_.index_topk = kTopk;
    config_.max_position_embeddings = 100000;
    config_.eos_token_ids = {1};
    policy_.full = {true, false, true, false};
  }

  const config::ModelConfig& config() const override { return config_; }
  const config::IndexCachePolicy& policy() const override { return policy_; }
  cache::KvLayout kv_layout() const override {
    cache::KvLayout layout;
    layout.num_layers = 4;
    layout.num_full_layers = 2;
    layout.latent_row = 4;  // 8 bytes: one hash
    layout.index_row = 4;
    return layout;
  }
  std::string numerics_id() const override { return "fake-1"; }

  absl::StatusOr<model::StepOutput> Forward(const model::StepInput& input) override {
    if (controls_ != nullptr) {
      std::unique_lock lock(controls_->mutex);
      ++controls_->steps;
      controls_->step_tokens.push_back(static_cast<int>(input.token_ids.size()));
      controls_->changed.notify_all();
      controls_->changed.wait(lock, [&] { return !controls_->hold; });
    }
    query_hash_.assign(input.token_ids.size(), 0);
    for (std::size_t s = 0; s < input.kv_len.size(); ++s) ComputeSequence(input, s);
    if (controls_ != nullptr && controls_->fail_steps > 0) {
      --controls_->fail_steps;
      return absl::InternalError("made to fail");
    }
    logits_.clear();
    for (const int32_t row : input.logit_rows) {
      const uint64_t hash = query_hash_[static_cast<std::size_t>(row)];
      for (uint64_t token = 0; token < kVocab; ++token) {
        logits_.push_back(static_cast<float>(Mix(hash, token) % 1000) / 100.0F);
      }
    }
    selections_.assign(2, {});
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (const int32_t row : input.selection_rows) {
        Select(layer, input.positions[static_cast<std::size_t>(row)]);
      }
    }
    return model::StepOutput{logits_, {selections_[0], selections_[1]}};
  }

  static uint64_t Mix(uint64_t a, uint64_t b) {
    uint64_t x = a * 0x9e3779b97f4a7c15ULL ^ (b + 0x7f4a7c15ULL);
    x ^= x >> 31;
    x *= 0xbf58476d1ce4e5b9ULL;
    return x ^ (x >> 29);
  }

 private:
  static std::byte* Row(const model::StepInput& input, std::size_t s, int64_t position,
                        int64_t offset, int64_t row_bytes) {
    const auto block = s * static_cast<std::size_t>(input.max_blocks) +
                       static_cast<std::size_t>(position / cache::kPageSize);
    return input.kv.page(input.block_tables[block]) + offset +
           (position % cache::kPageSize) * row_bytes;
  }
  static uint64_t Load(const std::byte* row) {
    uint64_t value = 0;
    std::memcpy(&value, row, sizeof(value));
    return value;
  }

  void ComputeSequence(const model::StepInput& input, std::size_t s) {
    const cache::KvLayout layout = kv_layout();
    for (auto t = static_cast<std::size_t>(input.cu_seqlens_q[s]);
         t < static_cast<std::size_t>(input.cu_seqlens_q[s + 1]); ++t) {
      const int64_t position = input.positions[t];
      for (int part = 0; part < 6; ++part) {  // four latent layers, two index layers
        const int64_t offset =
            part < 4 ? layout.latent_offset(part) : layout.index_offset(part - 4);
        const uint64_t before = position == 0 ? 17 : Load(Row(input, s, position - 1, offset, 8));
        const uint64_t value = Mix(Mix(before, static_cast<uint64_t>(input.token_ids[t])),
                                   static_cast<uint64_t>(part));
        std::memcpy(Row(input, s, position, offset, 8), &value, sizeof(value));
      }
      uint64_t hash = 0;
      for (int part = 0; part < 6; ++part) {
        const int64_t offset =
            part < 4 ? layout.latent_offset(part) : layout.index_offset(part - 4);
        for (int64_t p = 0; p <= position; ++p) hash = Mix(hash, Load(Row(input, s, p, offset, 8)));
      }
      query_hash_[t] = hash;
    }
  }

  // All positions while they fit; then every other one from the start, the query's own last.
  void Select(std::size_t layer, int32_t position) {
    for (int32_t i = 0; i < kTopk; ++i) {
      int32_t chosen = i;
      if (position < kTopk) {
        chosen = i <= position ? i : -1;
      } else if (i == kTopk - 1) {
        chosen = position;
      }
      selections_[layer].push_back(chosen);
    }
  }

  Controls* controls_;
  config::ModelConfig config_;
  config::IndexCachePolicy policy_;
  std::vector<uint64_t> query_hash_;
  std::vector<float> logits_;
  std::vector<std::vector<int32_t>> selections_;
};

// The greedy answer to a prompt, by the model alone over pages of its own.
inline std::vector<int32_t> FakeAnswer(std::vector<int32_t> tokens, int count) {
  FakeModel model(nullptr);
  const auto layout = model.kv_layout();
  const auto pages = (static_cast<int64_t>(tokens.size()) + count) / cache::kPageSize + 1;
  std::vector<std::byte> memory(static_cast<std::size_t>(pages * layout.page_bytes()));
  std::vector<int32_t> table(static_cast<std::size_t>(pages));
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i);
  std::vector<int32_t> answer;
  std::size_t computed = 0;
  for (int i = 0; i < count; ++i) {
    std::vector<int32_t> positions;
    for (std::size_t p = computed; p < tokens.size(); ++p) {
      positions.push_back(static_cast<int32_t>(p));
    }
    const std::vector<int32_t> cu = {0, static_cast<int32_t>(positions.size())};
    const std::vector<int32_t> kv_len = {static_cast<int32_t>(tokens.size())};
    const std::vector<int32_t> rows = {static_cast<int32_t>(positions.size()) - 1};
    model::StepInput input;
    input.token_ids = std::span(tokens).subspan(computed);
    input.positions = positions;
    input.cu_seqlens_q = cu;
    input.kv_len = kv_len;
    input.block_tables = table;
    input.max_blocks = static_cast<int32_t>(table.size());
    input.logit_rows = rows;
    input.kv = {memory.data(), layout};
    const auto output = model.Forward(input);
    const auto logits = output->logits;
    computed = tokens.size();
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    answer.push_back(static_cast<int32_t>(best));
    tokens.push_back(answer.back());
  }
  return answer;
}

}  // namespace lectern::runtime
