#pragma once
// An engine over the fake model and, where asked, a tier in memory.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/runtime/engine_impl.h"
#include "tests/engine/runtime/collected_answer.h"
#include "tests/engine/runtime/counting_metrics.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/engine/runtime/memory_tier.h"

namespace lectern::runtime {

inline std::vector<int32_t> RandomTokens(int count, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(rng() % FakeModel::kVocab));
  return tokens;
}

inline std::vector<int32_t> Joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class EngineFixture : public testing::Test {
 protected:
  EngineFixture() {
    config_.kv_cache_bytes = 64 * FakeModel(nullptr).kv_layout().page_bytes();
    config_.max_batch_tokens = 48;
    config_.max_running_requests = 8;
  }
  void TearDown() override {
    if (engine_ == nullptr) return;
    const EngineStats stats = engine_->Stats();
    EXPECT_EQ(stats.pages_leaked, 0);
    EXPECT_EQ(metrics_.Value("lectern_leaked_pages"), 0);
  }

  absl::StatusOr<std::unique_ptr<Engine>> Make(bool with_tier) {
    EngineParts parts;
    parts.model = std::make_unique<FakeModel>(&model_);
    parts.model_fingerprint = "fake";
    parts.model_name = "fake-model";
    if (page_hash_) parts.page_hash = page_hash_;
    if (with_tier) {
      parts.make_tier = [this](const cache::KvLayout&) {
        return std::make_unique<MemoryTier>(tier_);
      };
    }
    return MakeEngine(std::move(parts), config_, metrics_, base::SystemClock());
  }
  void Start(bool with_tier = false) {
    engine_.reset();
    auto engine = Make(with_tier);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = std::move(*engine);
  }

  static Request Prompt(std::vector<int32_t> prompt, int max_new_tokens = 6) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_new_tokens = max_new_tokens;
    return request;
  }
  // Asks, checks the answer against the model alone, and returns how it ended.
  Finished AskAndCheck(const Request& request) {
    const Answer answer = Ask(*engine_, request);
    const Finished finished = answer->Wait();
    EXPECT_EQ(finished.reason, FinishReason::kLength) << finished.status;
    EXPECT_EQ(answer->tokens(), FakeAnswer(request.prompt, request.max_new_tokens));
    const PromptTokens& sources = finished.prompt_tokens;
    EXPECT_EQ(sources.computed + sources.device + sources.disk,
              static_cast<int64_t>(request.prompt.size()));
    return finished;
  }
  // Once nothing runs, every page is free or cached. A tier that writes a page behind pins it for a
  // moment longer than its request; the bound is against hanging, not a measurement.
  void ExpectAllPagesBack() {
    EngineStats stats = engine_->Stats();
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (stats.pages_free + stats.pages_cached < stats.pages_total &&
           std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      stats = engine_->Stats();
    }
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
    EXPECT_EQ(stats.requests_running, 0);
    EXPECT_EQ(stats.requests_waiting, 0);
    EXPECT_EQ(stats.pages_leaked, 0);
  }

  config::EngineConfig config_;
  FakeModel::Controls model_;
  MemoryTier::State tier_;
  cache::PageHash page_hash_;
  CountingMetrics metrics_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace lectern::runtime
