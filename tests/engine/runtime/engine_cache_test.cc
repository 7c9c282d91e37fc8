// Prefix reuse through the engine: memory, tier, faults on the way, isolation, room.

#include <gtest/gtest.h>

#include "tests/engine/runtime/engine_fixture.h"

namespace lectern::runtime {
namespace {

class EngineCacheTest : public EngineFixture {
 protected:
  const std::vector<int32_t> document_ = RandomTokens(5 * 64 + 20, 77);
  Request Question(uint64_t seed, int count = 30) const {
    return Prompt(Joined(document_, RandomTokens(count, seed)));
  }
};

TEST_F(EngineCacheTest, ARepeatedDocumentComesFromMemory) {
  Start();
  EXPECT_EQ(AskAndCheck(Question(1)).prompt_tokens.device, 0);
  const Finished warm = AskAndCheck(Question(2));
  EXPECT_EQ(warm.prompt_tokens.device, 5 * 64);
  EXPECT_EQ(warm.prompt_tokens.computed, 20 + 30);
  EXPECT_EQ(metrics_.Value("lectern_prefix_cache_hits_total{tier=device}"), 5 * 64);
  EXPECT_EQ(engine_->Stats().miss_reasons["never_stored"], 1);
  ExpectAllPagesBack();
}

TEST_F(EngineCacheTest, APromptOfWholePagesLeavesItsLastPageToCompute) {
  Start();
  const Request request = Prompt(RandomTokens(128, 1));
  AskAndCheck(request);
  EXPECT_EQ(AskAndCheck(request).prompt_tokens.device, 64);
}

TEST_F(EngineCacheTest, GeneratedTokensAreReusedByTheNextTurn) {
  Start();
  const Request first = Prompt(RandomTokens(60, 1), 100);
  AskAndCheck(first);
  const Request next =
      Prompt(Joined(Joined(first.prompt, FakeAnswer(first.prompt, 100)), RandomTokens(10, 2)));
  EXPECT_EQ(AskAndCheck(next).prompt_tokens.device, 128);
}

TEST_F(EngineCacheTest, ARestartFindsTheTierWarm) {
  Start(/*with_tier=*/true);
  AskAndCheck(Question(1));
  Start(/*with_tier=*/true);
  EXPECT_EQ(engine_->CachedPrefix(Question(2).prompt, ""), 5 * 64);
  const Finished restored = AskAndCheck(Question(2));
  EXPECT_EQ(restored.prompt_tokens.disk, 5 * 64);
  const Finished warm = AskAndCheck(Question(3));  // restored pages are in memory now
  EXPECT_EQ(warm.prompt_tokens.device, 5 * 64);
  EXPECT_EQ(metrics_.Value("lectern_prefix_cache_hits_total{tier=disk}"), 5 * 64);
}

TEST_F(EngineCacheTest, MemoryAndTierMayShareAPrefix) {
  Start(/*with_tier=*/true);
  AskAndCheck(Question(1));
  AskAndCheck(Prompt(Joined(document_, RandomTokens(200, 5))));
  Start(/*with_tier=*/true);
  // Two pages of the document come into memory, the rest stays below.
  AskAndCheck(Prompt({document_.begin(), document_.begin() + 130}));
  const Finished mixed = AskAndCheck(Question(2));
  EXPECT_EQ(mixed.prompt_tokens.device, 128);
  EXPECT_EQ(mixed.prompt_tokens.disk, 3 * 64);
}

TEST_F(EngineCacheTest, TenantsDoNotSeeEachOthersPages) {
  Start(/*with_tier=*/true);
  Request request = Question(1);
  request.cache_salt = "a";
  AskAndCheck(request);
  EXPECT_EQ(engine_->CachedPrefix(request.prompt, "a"), 5 * 64);
  EXPECT_EQ(engine_->CachedPrefix(request.prompt, "b"), 0);
  request.cache_salt = "b";
  EXPECT_EQ(AskAndCheck(request).prompt_tokens.computed,
            static_cast<int64_t>(request.prompt.size()));
}

TEST_F(EngineCacheTest, WithoutCacheNothingIsReadOrWritten) {
  Start(/*with_tier=*/true);
  AskAndCheck(Question(1));
  const auto stored = tier_.pages.size();
  Request request = Question(1);
  request.use_cache = false;
  EXPECT_EQ(AskAndCheck(request).prompt_tokens.device, 0);
  Request other = Prompt(RandomTokens(200, 5));
  other.use_cache = false;
  AskAndCheck(other);
  EXPECT_EQ(tier_.pages.size(), stored);
  EXPECT_EQ(engine_->CachedPrefix(other.prompt, ""), 0);
}

TEST_F(EngineCacheTest, DroppingMemoryLeavesTheTier) {
  Start(/*with_tier=*/true);
  AskAndCheck(Question(1));
  EXPECT_EQ(engine_->DropMemoryCache(), 5);
  EXPECT_EQ(engine_->Stats().pages_free, engine_->Stats().pages_total);
  EXPECT_EQ(AskAndCheck(Question(2)).prompt_tokens.disk, 5 * 64);
  engine_->DropMemoryCache();
  EXPECT_EQ(*engine_->DropDiskCache(), 5);
  EXPECT_EQ(AskAndCheck(Question(3)).prompt_tokens.computed,
            static_cast<int64_t>(Question(3).prompt.size()));
  EXPECT_EQ(metrics_.Value("lectern_cache_evictions_total{tier=device,reason=asked}"), 10);
}

TEST_F(EngineCacheTest, RequestsForOneDocumentAtOnceComputeItOnce) {
  Start();
  model_.Hold(true);
  std::vector<Answer> answers;
  for (uint64_t i = 0; i < 4; ++i) answers.push_back(Ask(*engine_, Question(i)));
  model_.Hold(false);
  int64_t computed = 0;
  for (uint64_t i = 0; i < 4; ++i) {
    computed += answers[i]->Wait().prompt_tokens.computed;
    EXPECT_EQ(answers[i]->tokens(), FakeAnswer(Question(i).prompt, 6));
  }
  EXPECT_EQ(computed, 5 * 64 + 4 * (20 + 30));
}

TEST_F(EngineCacheTest, WhoWaitsForAnothersPagesGoesOnAloneWhenThatOneIsCancelled) {
  Start();
  model_.Hold(true);
  RequestId id = 0;
  const Answer first = Ask(*engine_, Question(1), &id);
  model_.AwaitSteps(1);
  const Answer second = Ask(*engine_, Question(2));
  engine_->Cancel(id);
  model_.Hold(false);
  EXPECT_EQ(first->Wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(second->Wait().reason, FinishReason::kLength);
  EXPECT_EQ(second->tokens(), FakeAnswer(Question(2).prompt, 6));
}

class LoadFaultTest
    : public EngineCacheTest,
      public testing::WithParamInterface<std::pair<cache::LoadOutcome, const char*>> {};

TEST_P(LoadFaultTest, APageThatCannotBeLoadedIsRecomputed) {
  for (const std::size_t failing : {0U, 2U, 4U}) {
    tier_.pages.clear();
    Start(/*with_tier=*/true);
    AskAndCheck(Question(1));
    tier_.outcomes.assign(failing, cache::LoadOutcome::kLoaded);
    tier_.outcomes.push_back(GetParam().first);
    Start(/*with_tier=*/true);
    const Finished finished = AskAndCheck(Question(2));
    EXPECT_EQ(finished.prompt_tokens.disk, static_cast<int64_t>(failing) * 64);
    EXPECT_EQ(engine_->Stats().miss_reasons[GetParam().second], 1);
    ExpectAllPagesBack();
    EXPECT_EQ(AskAndCheck(Question(3)).prompt_tokens.device, 5 * 64);  // whole again
  }
}

INSTANTIATE_TEST_SUITE_P(EveryFault, LoadFaultTest,
                         testing::Values(std::pair{cache::LoadOutcome::kMissing, "lost"},
                                         std::pair{cache::LoadOutcome::kCorrupt, "corrupt"},
                                         std::pair{cache::LoadOutcome::kCollision, "collision"},
                                         std::pair{cache::LoadOutcome::kIoError, "io_error"}),
                         [](const auto& info) { return info.param.second; });

TEST_F(EngineCacheTest, ASlowLoadHoldsUpNobodyElse) {
  Start(/*with_tier=*/true);
  AskAndCheck(Question(1));
  tier_.hold_loads = true;
  Start(/*with_tier=*/true);
  const Answer restoring = Ask(*engine_, Question(2));
  AskAndCheck(Prompt(RandomTokens(100, 9)));
  EXPECT_TRUE(restoring->tokens().empty());
  EXPECT_EQ(engine_->Stats().requests_running, 1);
  tier_.tier->RunLoads();
  EXPECT_EQ(restoring->Wait().prompt_tokens.disk, 5 * 64);
  EXPECT_EQ(restoring->tokens(), FakeAnswer(Question(2).prompt, 6));
}

// Peers free the page while its load is in flight, or leak it when its request is aborted.
TEST_F(EngineCacheTest, ARequestCancelledWhileItsLoadIsInFlightFreesItsPagesAfterwards) {
  Start(/*with_tier=*/true);
  AskAndCheck(Question(1));
  tier_.hold_loads = true;
  Start(/*with_tier=*/true);
  RequestId id = 0;
  const Answer restoring = Ask(*engine_, Question(2), &id);
  AskAndCheck(Prompt(RandomTokens(100, 9)));  // by now the loads are out
  engine_->Cancel(id);
  EXPECT_EQ(restoring->Wait().reason, FinishReason::kCancelled);
  EngineStats stats = engine_->Stats();
  EXPECT_EQ(stats.pages_total - stats.pages_free - stats.pages_cached, 5);  // under the loads
  EXPECT_EQ(stats.pages_leaked, 0);
  EXPECT_EQ(tier_.cancelled_loads, 5);  // the tier was told
  tier_.tier->RunLoads();
  tier_.hold_loads = false;
  AskAndCheck(Question(3));
  ExpectAllPagesBack();
}

TEST_F(EngineCacheTest, PagesUnderAWriteAreKeptAndDelayAdmissionButNeverBlockIt) {
  config_.kv_cache_bytes = 8 * FakeModel(nullptr).kv_layout().page_bytes();
  tier_.hold_stores = true;
  Start(/*with_tier=*/true);
  AskAndCheck(Question(1));  // five pages are held by the tier now
  EXPECT_EQ(engine_->Stats().pages_leaked, 0);
  const Answer large = Ask(*engine_, Prompt(RandomTokens(400, 3)));
  AskAndCheck(Prompt(RandomTokens(20, 4)));  // fits beside them
  EXPECT_TRUE(large->tokens().empty());
  tier_.tier->LetStoresGo();
  EXPECT_EQ(large->Wait().reason, FinishReason::kLength);
  EXPECT_EQ(large->tokens(), FakeAnswer(RandomTokens(400, 3), 6));
}

TEST_F(EngineCacheTest, EvictionUnderLoadNeverTouchesWhatIsInUse) {
  config_.kv_cache_bytes = 12 * FakeModel(nullptr).kv_layout().page_bytes();
  Start();
  for (int round = 0; round < 3; ++round) {
    std::vector<Request> requests;
    std::vector<Answer> answers;
    for (uint64_t i = 0; i < 6; ++i) {
      requests.push_back(Prompt(Joined(RandomTokens(200, i), RandomTokens(round + 1, i)), 8));
      answers.push_back(Ask(*engine_, requests.back()));
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i]->Wait().reason, FinishReason::kLength);
      EXPECT_EQ(answers[i]->tokens(), FakeAnswer(requests[i].prompt, 8));
    }
  }
  EXPECT_GT(metrics_.Value("lectern_cache_evictions_total{tier=device,reason=room}"), 0);
  EXPECT_GT(engine_->Stats().miss_reasons["evicted"], 0);
  ExpectAllPagesBack();
}

// Two texts under one key: every page has the same key here.
TEST_F(EngineCacheTest, CollidingKeysNeverServeAnothersText) {
  page_hash_ = [](const cache::PageKey&, std::span<const int32_t>) {
    cache::PageKey key;
    key.bytes.fill(0xcc);
    return key;
  };
  Start(/*with_tier=*/true);
  AskAndCheck(Prompt(RandomTokens(100, 1)));
  const Finished other = AskAndCheck(Prompt(RandomTokens(100, 2)));
  EXPECT_EQ(other.prompt_tokens.computed, 100);
  EXPECT_EQ(engine_->Stats().miss_reasons["collision"], 1);
  EXPECT_EQ(AskAndCheck(Prompt(RandomTokens(100, 1))).prompt_tokens.device, 64);
  Start(/*with_tier=*/true);  // and through the tier
  EXPECT_EQ(AskAndCheck(Prompt(RandomTokens(100, 3))).prompt_tokens.computed, 100);
  EXPECT_EQ(engine_->Stats().miss_reasons["collision"], 1);
}

TEST_F(EngineCacheTest, AFailedStepPublishesNothing) {
  Start();
  model_.fail_steps = 1;
  config_.max_batch_tokens = 1000;
  const Answer failed = Ask(*engine_, Question(1));
  EXPECT_EQ(failed->Wait().reason, FinishReason::kError);
  EXPECT_EQ(engine_->CachedPrefix(Question(1).prompt, ""), 0);
}

}  // namespace
}  // namespace lectern::runtime
