// The engine over a real page store that is damaged, in the way, or killed: the answer is always
// right, a counter moves, nothing leaks.

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "engine/cache/tiers/rocksdb_tier.h"
#include "tests/engine/cache/tiers/page_fixture.h"
#include "tests/engine/cache/tiers/stored_values.h"
#include "tests/engine/runtime/engine_fixture.h"
#include "tests/testing/dummy_checkpoint.h"

namespace lectern::runtime {
namespace {

class TierFaultTest : public EngineFixture {
 protected:
  void StartOnDisk() {
    engine_.reset();
    EngineParts parts;
    parts.model = std::make_unique<FakeModel>(&model_);
    parts.make_tier = [this](const cache::KvLayout& layout) {
      auto store = cache::PageStore::Open({directory_});
      EXPECT_TRUE(store.ok());
      cache::RocksdbTierOptions options;
      options.layout = layout;
      options.budget_bytes = budget_bytes_;
      return cache::CreateRocksdbTier(std::move(*store), options, metrics_, base::SystemClock());
    };
    auto engine = MakeEngine(std::move(parts), config_, metrics_, base::SystemClock());
    ASSERT_TRUE(engine.ok());
    engine_ = std::move(*engine);
  }
  void TearDown() override {
    EngineFixture::TearDown();
    engine_.reset();  // flushes into the directory, which goes first otherwise
  }
  Request Question(uint64_t seed) const {
    return Prompt(Joined(document_, RandomTokens(30, seed)));
  }

  const std::vector<int32_t> document_ = RandomTokens(6 * 64, 77);
  cache::ScratchDirectory scratch_;
  const std::string directory_ = scratch_ / "pages";
  int64_t budget_bytes_ = 1 << 30;
};

TEST_F(TierFaultTest, DamageAnywhereInAPageCostsTimeAndNothingElse) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  const std::vector<std::function<void(std::string&)>> faults = {
      [&](std::string& v) { v[rng() % v.size()] ^= static_cast<char>(1 << (rng() % 8)); },
      [&](std::string& v) { v.resize(1 + rng() % (v.size() - 1)); },
      [](std::string& v) { v.clear(); },
      [&](std::string& v) { v.append(1 + rng() % 9, 'x'); },
      [](std::string& v) { std::ranges::fill(v, '\0'); },
  };
  for (const char part : {'m', 'i', 'l'}) {
    for (std::size_t fault = 0; fault < faults.size(); ++fault) {
      SCOPED_TRACE(std::string(1, part) + " fault " + std::to_string(fault));
      std::filesystem::remove_all(directory_);
      StartOnDisk();
      AskAndCheck(Question(1));
      engine_.reset();
      const auto keys = cache::StoredKeys(directory_, part);
      ASSERT_EQ(keys.size(), 6U);
      cache::ChangeStored(directory_, keys[rng() % keys.size()], faults[fault]);
      StartOnDisk();
      const Finished finished = AskAndCheck(Question(2));
      EXPECT_LT(finished.prompt_tokens.disk, 6 * 64);
      const bool manifest_gone = part == 'm' && fault == 2;  // as if never written
      EXPECT_EQ(engine_->Stats().integrity_failures, manifest_gone ? 0 : 1);
      EXPECT_FALSE(engine_->Stats().miss_reasons.empty());
      ExpectAllPagesBack();
      // The page was computed and written again.
      ASSERT_TRUE(engine_->FlushTiers().ok());
      StartOnDisk();
      EXPECT_EQ(AskAndCheck(Question(3)).prompt_tokens.disk, 6 * 64);
    }
  }
}

TEST_F(TierFaultTest, ATierTooSmallForItsWorkStaysWithinItsBudget) {
  FakeModel model(nullptr);
  budget_bytes_ = 8 * cache::StoredPageBytes(model.kv_layout());
  StartOnDisk();
  for (uint64_t i = 0; i < 8; ++i) AskAndCheck(Prompt(RandomTokens(300, i)));
  ASSERT_TRUE(engine_->FlushTiers().ok());
  EXPECT_LE(engine_->Stats().disk_bytes, budget_bytes_);
  EXPECT_GT(metrics_.Value("lectern_cache_evictions_total{tier=disk,reason=budget}"), 0);
  engine_->DropMemoryCache();
  for (uint64_t i = 0; i < 8; ++i) AskAndCheck(Prompt(RandomTokens(300, i)));
}

TEST_F(TierFaultTest, VerifyAndDropReachTheStore) {
  StartOnDisk();
  AskAndCheck(Question(1));
  ASSERT_TRUE(engine_->FlushTiers().ok());
  engine_.reset();
  cache::ChangeStored(directory_, cache::StoredKeys(directory_, 'l')[0],
                      [](std::string& value) { value[9] ^= 1; });
  StartOnDisk();
  const auto report = engine_->VerifyDiskCache();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->pages_checked, 6);
  EXPECT_EQ(report->pages_bad, 1);
  EXPECT_EQ(report->problems.size(), 1U);
  EXPECT_EQ(*engine_->DropDiskCache(), 5);
  EXPECT_EQ(engine_->CachedPrefix(Question(1).prompt, ""), 0);
  Start(/*with_tier=*/false);
  EXPECT_EQ(engine_->VerifyDiskCache().status().code(), absl::StatusCode::kFailedPrecondition);
}

// No write-ahead log: a killed process may lose the last pages, never break one.
TEST_F(TierFaultTest, AKilledProcessLeavesOnlyWholePages) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string directory = std::filesystem::temp_directory_path() / "lectern_killed_pages";
  std::filesystem::remove_all(directory);
  const auto write_and_die = [&] {
    cache::KvLayout layout = cache::TestLayout();
    auto store = std::move(*cache::PageStore::Open({directory}));
    for (int i = 0; i < 400; ++i) {
      if (i == 200) store->Flush();
      store->Put(cache::TestIdentity(i), layout,
                 cache::RandomPage(layout, static_cast<uint64_t>(i)), 1);
    }
    raise(SIGKILL);
  };
  EXPECT_EXIT(write_and_die(), ::testing::KilledBySignal(SIGKILL), "");
  const auto store = cache::PageStore::Open({directory});
  ASSERT_TRUE(store.ok()) << store.error().message;
  const cache::StoreReport report = store.value()->Verify(false);
  EXPECT_GE(report.pages, 200);
  EXPECT_EQ(report.damaged + report.orphans, 0);
  std::vector<std::byte> page(static_cast<std::size_t>(cache::TestLayout().page_bytes()));
  for (int i = 0; i < 400; ++i) {
    const auto outcome = store.value()->Get(cache::TestIdentity(i), cache::TestLayout(), page);
    EXPECT_TRUE(i >= 200 || outcome == cache::LoadOutcome::kLoaded) << i;
    if (outcome == cache::LoadOutcome::kLoaded) {
      EXPECT_EQ(page, cache::RandomPage(cache::TestLayout(), static_cast<uint64_t>(i)));
    }
  }
  std::filesystem::remove_all(directory);
}

TEST_F(TierFaultTest, AnEngineWhoseStoreCannotBeOpenedAnswersWithoutIt) {
  ASSERT_TRUE(
      lectern::testing::MakeDummyCheckpoint(scratch_ / "model", lectern::testing::DummyModel{}, 1)
          .ok());
  std::ofstream(scratch_ / "file") << "in the way";
  config_.model_directory = scratch_ / "model";
  config_.disk_tier_directory = scratch_ / "file/pages";
  config_.kv_cache_bytes = 4 << 20;
  auto engine = Engine::Create(config_, metrics_, base::SystemClock());
  ASSERT_TRUE(engine.ok()) << engine.status();
  engine_ = std::move(*engine);
  EXPECT_EQ(Ask(*engine_, Prompt(RandomTokens(200, 1)))->Wait().reason, FinishReason::kLength);
  EXPECT_EQ(Ask(*engine_, Prompt(RandomTokens(200, 1)))->Wait().prompt_tokens.device, 192);
  EXPECT_EQ(metrics_.Value("lectern_tier_errors_total{tier=disk,operation=open}"), 1);
  EXPECT_TRUE(engine_->FlushTiers().ok());
  EXPECT_EQ(engine_->Stats().disk_pages, 0);
}

TEST_F(TierFaultTest, CreateNamesWhatIsWrongWithTheModel) {
  config_.model_directory = scratch_ / "nowhere";
  const auto engine = Engine::Create(config_, metrics_, base::SystemClock());
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(std::string(engine.status().message()).find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace lectern::runtime
