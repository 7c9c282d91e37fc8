// Hit ≡ miss over a real model: an answer over cached pages is the answer computed cold and alone,
// token for token and, which is more, log-probability for log-probability in every bit; below
// index_topk and far above it, from memory, after a restart, and mixed; whatever the chunks and the
// batch mates.
//
// LECTERN_DRAWS: how many draws (40). LECTERN_SEED: of the first (random). Each prints what it
// drew.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>

#include "engine/base/log.h"
#include "engine/runtime/engine_impl.h"
#include "engine/weights/checkpoint.h"
#include "tests/engine/cache/tiers/page_fixture.h"
#include "tests/engine/runtime/collected_answer.h"
#include "tests/engine/runtime/memory_tier.h"
#include "tests/testing/dummy_checkpoint.h"

namespace lectern::runtime {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// Tokens and their log-probabilities, to be compared bit for bit.
struct Written {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  bool operator==(const Written&) const = default;
};

Written WrittenBy(const Answer& answer) {
  Written written;
  for (const TokenEvent& event : answer->events) {
    written.tokens.push_back(event.token_id);
    written.logprobs.push_back(event.logprob.value_or(0.0F));
  }
  return written;
}

class Draw {
 public:
  Draw(const cache::ScratchDirectory& scratch, uint64_t seed)
      : rng_(seed), model_(scratch / "model"), store_(scratch / "store") {
    std::filesystem::remove_all(store_);
    config_.dtype = Flip() ? config::ComputeDtype::kBfloat16 : config::ComputeDtype::kFloat32;
    config_.model_directory = model_;
    config_.index_cache.index_topk_pattern = Pick<const char*>({"FFFF", "FSFS", "FSSS", "FFSS"});
    config_.num_threads = Between(1, 2);
    config_.kv_cache_bytes = 4 << 20;
    document_ = Tokens(Between(0, 4) == 0 ? Between(1, 60) : Between(60, 900));
    question_ = Tokens(Between(1, 90));
    max_new_tokens_ = Between(1, 24);
  }

  void Run() {
    const Written cold = ColdAndAlone();
    config_.max_batch_tokens = Pick<int>({3, 16, 33, 64, 100, 257, 512});
    config_.disk_tier_directory = store_;
    std::unique_ptr<Engine> engine = Open();
    Prime(*engine);
    const int way = Between(0, 2);
    if (way > 0) {
      engine.reset();
      engine = Open();
    }
    if (way == 2) Prime(*engine);  // part of it comes into memory first
    const auto mates = StartMates(*engine);
    const Answer warm = Ask(*engine, Question());
    const Finished finished = warm->Wait();
    for (const Answer& mate : mates) mate->Wait();
    std::cout << "  "
              << (way == 0   ? "memory"
                  : way == 1 ? "restart"
                             : "mixed")
              << ", " << *config_.index_cache.index_topk_pattern << ", document "
              << document_.size() << ", question " << question_.size() << ", batch "
              << config_.max_batch_tokens << ", mates " << mates.size() << ": computed "
              << finished.prompt_tokens.computed << " device " << finished.prompt_tokens.device
              << " disk " << finished.prompt_tokens.disk << "\n";
    EXPECT_EQ(finished.reason, FinishReason::kLength) << finished.status;
    EXPECT_EQ(WrittenBy(warm), cold);
    hits = finished.prompt_tokens.device + finished.prompt_tokens.disk;
    engine->FlushTiers().IgnoreError();
    EXPECT_EQ(engine->Stats().pages_leaked, 0);
    EXPECT_EQ(engine->Stats().integrity_failures, 0);
  }

  int64_t hits = 0;

 private:
  int Between(int low, int high) { return std::uniform_int_distribution(low, high)(rng_); }
  bool Flip() { return Between(0, 1) == 0; }
  template <typename T>
  T Pick(std::initializer_list<T> from) {
    return *(from.begin() + Between(0, static_cast<int>(from.size()) - 1));
  }
  std::vector<int32_t> Tokens(int count) {
    std::vector<int32_t> tokens;
    for (int i = 0; i < count; ++i) tokens.push_back(Between(0, 255));
    return tokens;
  }

  std::unique_ptr<Engine> Open() {
    auto engine = Engine::Create(config_, metrics_, base::SystemClock());
    EXPECT_TRUE(engine.ok()) << engine.status();
    return std::move(*engine);
  }

  Request Question() const {
    Request request;
    request.prompt = document_;
    request.prompt.insert(request.prompt.end(), question_.begin(), question_.end());
    request.max_new_tokens = max_new_tokens_;
    request.sampling.logprobs = 0;
    return request;
  }

  Written ColdAndAlone() {
    auto engine = Open();
    Request request = Question();
    request.use_cache = false;
    const Answer answer = Ask(*engine, request);
    EXPECT_EQ(answer->Wait().prompt_tokens.computed, static_cast<int64_t>(request.prompt.size()));
    return WrittenBy(answer);
  }

  // Another question about the document, or about a part of it: the length of the hit is random.
  void Prime(Engine& engine) {
    Request request = Question();
    const auto size = static_cast<int>(request.prompt.size());
    request.prompt.resize(static_cast<std::size_t>(Flip() ? size : Between(1, size)));
    const auto other = Tokens(Between(0, 70));
    request.prompt.insert(request.prompt.end(), other.begin(), other.end());
    request.max_new_tokens = Between(1, 8);
    Ask(engine, request)->Wait();
  }

  std::vector<Answer> StartMates(Engine& engine) {
    std::vector<Answer> mates;
    for (int count = Between(0, 3); count > 0; --count) {
      Request request = Question();
      if (Flip()) request.prompt = Tokens(Between(1, 300));
      request.prompt.push_back(Between(0, 255));
      request.use_cache = Flip();
      request.max_new_tokens = Between(1, 30);
      request.sampling.temperature = Flip() ? 1.0 : 0.0;
      mates.push_back(Ask(engine, request));
    }
    return mates;
  }

  std::mt19937_64 rng_;
  const std::string model_;
  const std::string store_;
  base::NoMetrics metrics_;
  config::EngineConfig config_;
  std::vector<int32_t> document_;
  std::vector<int32_t> question_;
  int max_new_tokens_ = 0;
};

TEST(HitMissTest, RandomDrawsAnswerAsTheColdRunDoes) {
  base::SetMinLogLevel(base::LogLevel::kError);  // every draw overrides the file's pattern
  const cache::ScratchDirectory scratch;
  lectern::testing::DummyModel shape;  // index_topk 16: contexts here are up to sixty times longer
  shape.index_topk_pattern = "FFFF";   // every schedule may be drawn
  ASSERT_TRUE(lectern::testing::MakeDummyCheckpoint(scratch / "model", shape, 5).ok());
  const uint64_t draws = FromEnvironment("LECTERN_DRAWS", 40);
  const uint64_t first = FromEnvironment("LECTERN_SEED", std::random_device{}());
  int64_t draws_with_hits = 0;
  for (uint64_t i = 0; i < draws; ++i) {
    std::cout << "draw " << i << " seed " << first + i << std::endl;
    SCOPED_TRACE("seed " + std::to_string(first + i));
    Draw draw(scratch, first + i);
    draw.Run();
    draws_with_hits += draw.hits > 0 ? 1 : 0;
    if (HasFailure()) break;
  }
  std::cout << draws_with_hits << " of " << draws << " draws hit the cache" << std::endl;
  EXPECT_GT(4 * draws_with_hits, draws);  // or the test tests nothing
}

// The control: what peers do wrong must be visible to the comparison above. A tier that gives back
// latent rows without indexer keys changes the answer once the context is longer than index_topk.
TEST(HitMissTest, PagesWithoutTheirIndexerKeysWouldBeNoticed) {
  const cache::ScratchDirectory scratch;
  ASSERT_TRUE(
      lectern::testing::MakeDummyCheckpoint(scratch / "model", lectern::testing::DummyModel{}, 5)
          .ok());
  const auto checkpoint = weights::Checkpoint::Open(scratch / "model");
  ASSERT_TRUE(checkpoint.ok());
  const auto policy = config::MakeIndexCachePolicy(4, (*checkpoint)->config().index_cache, {},
                                                   (*checkpoint)->LayersWithIndexer(), nullptr);
  ASSERT_TRUE(policy.ok()) << policy.status();
  config::EngineConfig config;
  config.kv_cache_bytes = 4 << 20;
  base::NoMetrics metrics;
  MemoryTier::State tier;
  cache::KvLayout layout;
  const auto open = [&] {
    EngineParts parts;
    parts.model = std::move(*model::CreateCpuModel(**checkpoint, *policy, {}));
    layout = parts.model->kv_layout();
    parts.make_tier = [&](const cache::KvLayout&) { return std::make_unique<MemoryTier>(tier); };
    return std::move(*MakeEngine(std::move(parts), config, metrics, base::SystemClock()));
  };
  std::mt19937_64 rng(8);
  Request request;
  for (int i = 0; i < 500; ++i) request.prompt.push_back(static_cast<int32_t>(rng() % 256));
  request.max_new_tokens = 8;
  request.sampling.logprobs = 0;
  auto engine = open();
  const Answer cold = Ask(*engine, request);
  cold->Wait();
  engine = open();
  const Answer restored = Ask(*engine, request);
  EXPECT_EQ(restored->Wait().prompt_tokens.disk, 448);
  EXPECT_EQ(WrittenBy(restored), WrittenBy(cold));
  engine.reset();
  for (auto& [key, page] : tier.pages) {
    auto& bytes = page.second;
    std::fill(bytes.begin() + layout.latent_bytes(), bytes.end(), std::byte{0});
  }
  engine = open();
  const Answer without_keys = Ask(*engine, request);
  EXPECT_EQ(without_keys->Wait().prompt_tokens.disk, 448);
  EXPECT_NE(WrittenBy(without_keys), WrittenBy(cold));
}

}  // namespace
}  // namespace lectern::runtime
