#include "engine/cache/tiers/rocksdb_tier.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "tests/engine/cache/tiers/page_fixture.h"
#include "tests/engine/cache/tiers/stored_values.h"

namespace lectern::cache {
namespace {

using namespace std::chrono_literals;

// A store in memory whose writes and reads can be held up or made to fail.
class ControlledStore final : public PageStore {
 public:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool hold = false;
    bool fail_writes = false;
    int waiting = 0;
    int flushes = 0;
    int compactions = 0;
    std::map<PageKey, std::vector<std::byte>> pages;
    std::map<PageKey, LoadOutcome> outcomes;

    void Set(bool State::*what, bool value) {
      {
        const std::lock_guard lock(mutex);
        this->*what = value;
      }
      changed.notify_all();
    }
    void AwaitWaiting(int count) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return waiting >= count; });
    }
    void AwaitFlushes(int count) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return flushes >= count; });
    }
  };

  explicit ControlledStore(State& state) : state_(state) {}

  std::optional<base::Error> Put(const PageIdentity& identity, const KvLayout&,
                                 std::span<const std::byte> page, uint64_t) override {
    const auto lock = Pass();
    if (state_.fail_writes) return base::Error{base::Code::kUnavailable, "no space"};
    state_.pages[identity.key].assign(page.begin(), page.end());
    return std::nullopt;
  }
  LoadOutcome Get(const PageIdentity& identity, const KvLayout&,
                  std::span<std::byte> page) override {
    const auto lock = Pass();
    if (state_.outcomes.contains(identity.key)) return state_.outcomes[identity.key];
    if (!state_.pages.contains(identity.key)) return LoadOutcome::kMissing;
    std::ranges::copy(state_.pages[identity.key], page.begin());
    return LoadOutcome::kLoaded;
  }
  std::optional<base::Error> Delete(const PageKey& key) override {
    const std::lock_guard lock(state_.mutex);
    state_.pages.erase(key);
    return std::nullopt;
  }
  int64_t ForEach(const std::function<void(const Entry&)>&) override { return 0; }
  StoreReport Verify(bool) override { return {}; }
  std::optional<base::Error> Flush() override {
    {
      const std::lock_guard lock(state_.mutex);
      ++state_.flushes;
    }
    state_.changed.notify_all();
    return std::nullopt;
  }
  void Compact() override { ++state_.compactions; }
  std::optional<base::Error> Resume() override { return std::nullopt; }

 private:
  std::unique_lock<std::mutex> Pass() {
    std::unique_lock lock(state_.mutex);
    ++state_.waiting;
    state_.changed.notify_all();
    state_.changed.wait(lock, [&] { return !state_.hold; });
    --state_.waiting;
    return lock;
  }
  State& state_;
};

class TierTest : public testing::Test {
 protected:
  TierTest() : pool_(std::move(*BlockPool::Create(TestLayout(), 64))) {
    options_.layout = TestLayout();
  }

  std::unique_ptr<PageTier> Controlled() {
    auto tier =
        CreateRocksdbTier(std::make_unique<ControlledStore>(state_), options_, metrics_, clock_);
    tier->SetWake([this] { wakes_.Notify(); });
    return tier;
  }
  std::unique_ptr<PageTier> Real(rocksdb::Env* env = nullptr) {
    auto store = PageStore::Open({directory_, env});
    EXPECT_TRUE(store.ok());
    auto tier = CreateRocksdbTier(std::move(*store), options_, metrics_, clock_);
    tier->SetWake([this] { wakes_.Notify(); });
    return tier;
  }

  PageHandle PageWith(int number) {
    auto reservation = pool_->Reserve(1);
    EXPECT_TRUE(reservation.ok());
    PageHandle page = pool_->Allocate(*reservation);
    std::ranges::copy(RandomPage(TestLayout(), static_cast<uint64_t>(number)),
                      page.bytes().begin());
    return page;
  }
  void Store(PageTier& tier, int number) { tier.Store(TestIdentity(number), PageWith(number)); }

  PageHandle StartLoad(PageTier& tier, int number, uint64_t ticket = 1) {
    auto reservation = pool_->Reserve(1);
    PageHandle page = pool_->Allocate(*reservation);
    std::vector<PageLoad> loads;
    loads.push_back({ticket, number, TestIdentity(number), page.Share(PageHolder::kTierRead)});
    tier.Load(std::move(loads));
    return page;
  }
  LoadedPage AwaitLoaded(PageTier& tier) {
    while (true) {
      for (const LoadedPage& loaded : tier.TakeLoaded()) loaded_.push_back(loaded);
      if (!loaded_.empty()) {
        const LoadedPage first = loaded_.front();
        loaded_.pop_front();
        return first;
      }
      wakes_.Wait();
    }
  }
  LoadOutcome LoadNow(PageTier& tier, int number) {
    const PageHandle page = StartLoad(tier, number);
    const LoadOutcome outcome = AwaitLoaded(tier).outcome;
    if (outcome == LoadOutcome::kLoaded) {
      EXPECT_TRUE(std::ranges::equal(page.bytes(),
                                     RandomPage(TestLayout(), static_cast<uint64_t>(number))));
    }
    return outcome;
  }

  class Wakes {
   public:
    void Notify() {
      {
        const std::lock_guard lock(mutex_);
        ++count_;
      }
      changed_.notify_all();
    }
    void Wait() {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return count_ > 0; });
      count_ = 0;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
  };

  ScratchDirectory scratch_;
  const std::string directory_ = scratch_ / "pages";
  base::NoMetrics metrics_;
  base::ManualClock clock_;
  RocksdbTierOptions options_;
  ControlledStore::State state_;
  Wakes wakes_;
  std::deque<LoadedPage> loaded_;  // taken, not yet looked at
  std::unique_ptr<BlockPool> pool_;
};

TEST_F(TierTest, WhatWasStoredIsThereAfterARestart) {
  {
    auto tier = Real();
    for (int i = 0; i < 10; ++i) Store(*tier, i);
    ASSERT_FALSE(tier->Flush());
    EXPECT_EQ(tier->Stats().pages, 10);
    EXPECT_TRUE(tier->Stats().idle);
  }
  EXPECT_EQ(pool_->counts().referenced, 0);
  auto tier = Real();
  EXPECT_EQ(tier->Stats().pages, 10);
  EXPECT_EQ(tier->Stats().bytes, 10 * StoredPageBytes(TestLayout()));
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(tier->Contains(TestIdentity(i).key));
    EXPECT_EQ(LoadNow(*tier, i), LoadOutcome::kLoaded);
  }
  EXPECT_FALSE(tier->Contains(TestIdentity(10).key));
  EXPECT_EQ(LoadNow(*tier, 10), LoadOutcome::kMissing);
}

TEST_F(TierTest, ShutdownWritesWhatIsQueuedWithoutBeingAsked) {
  {
    auto tier = Real();
    for (int i = 0; i < 10; ++i) Store(*tier, i);
  }
  EXPECT_EQ(Real()->Stats().pages, 10);
}

TEST_F(TierTest, AFullQueueDropsAndNeverBlocks) {
  options_.max_queued_stores = 2;
  auto tier = Controlled();
  state_.Set(&ControlledStore::State::hold, true);
  Store(*tier, 0);
  state_.AwaitWaiting(1);  // taken from the queue, stuck in the disk
  for (int i = 1; i < 6; ++i) Store(*tier, i);
  EXPECT_EQ(tier->Stats().stores_dropped, 3);
  EXPECT_FALSE(tier->Stats().idle);
  state_.Set(&ControlledStore::State::hold, false);
  ASSERT_FALSE(tier->Flush());
  EXPECT_EQ(tier->Stats().pages, 3);
  EXPECT_EQ(pool_->CountHeldByTiers(), 0);
}

TEST_F(TierTest, APageIsPinnedWhileItIsWrittenAndWrittenOnce) {
  auto tier = Controlled();
  state_.Set(&ControlledStore::State::hold, true);
  Store(*tier, 0);
  Store(*tier, 0);
  EXPECT_EQ(pool_->CountHeldByTiers(), 1);
  EXPECT_EQ(pool_->counts().referenced, 1);
  EXPECT_FALSE(tier->Contains(TestIdentity(0).key));
  state_.Set(&ControlledStore::State::hold, false);
  ASSERT_FALSE(tier->Flush());
  EXPECT_TRUE(tier->Contains(TestIdentity(0).key));
  EXPECT_EQ(pool_->counts().free, 64);
}

TEST_F(TierTest, TheOldestUsedGoWhenTheBudgetIsFull) {
  options_.budget_bytes = 3 * StoredPageBytes(TestLayout());
  auto tier = Controlled();
  for (int i = 0; i < 3; ++i) Store(*tier, i);
  ASSERT_FALSE(tier->Flush());
  EXPECT_EQ(LoadNow(*tier, 0), LoadOutcome::kLoaded);  // used: 1 is the oldest now
  Store(*tier, 3);
  ASSERT_FALSE(tier->Flush());
  EXPECT_FALSE(tier->Contains(TestIdentity(1).key));
  for (const int kept : {0, 2, 3}) EXPECT_TRUE(tier->Contains(TestIdentity(kept).key));
  EXPECT_EQ(tier->Stats().evictions, 1);
  EXPECT_LE(tier->Stats().bytes, options_.budget_bytes);
  EXPECT_EQ(state_.pages.size(), 3U);
}

TEST_F(TierTest, ALoadThatHasNotStartedIsCancelledAtOnce) {
  options_.read_threads = 1;
  auto tier = Controlled();
  Store(*tier, 0);
  ASSERT_FALSE(tier->Flush());
  state_.Set(&ControlledStore::State::hold, true);
  PageHandle in_flight = StartLoad(*tier, 0, 7);
  state_.AwaitWaiting(1);
  PageHandle queued = StartLoad(*tier, 1, 7);
  PageHandle other = StartLoad(*tier, 2, 8);
  EXPECT_EQ(pool_->counts().loading, 3);
  tier->CancelLoads(7);
  EXPECT_EQ(AwaitLoaded(*tier).outcome, LoadOutcome::kCancelled);
  // The request goes; the page whose read is under way is held until that is over.
  in_flight.reset();
  queued.reset();
  EXPECT_EQ(pool_->counts().loading, 2);
  EXPECT_EQ(pool_->counts().referenced, 2);
  state_.Set(&ControlledStore::State::hold, false);
  EXPECT_EQ(AwaitLoaded(*tier).ticket, 7U);
  EXPECT_EQ(AwaitLoaded(*tier).ticket, 8U);
  other.reset();
  EXPECT_EQ(pool_->counts().free, 64);
}

TEST_F(TierTest, ABadPageIsForgottenAndCounted) {
  auto tier = Controlled();
  for (int i = 0; i < 3; ++i) Store(*tier, i);
  ASSERT_FALSE(tier->Flush());
  state_.outcomes[TestIdentity(0).key] = LoadOutcome::kCorrupt;
  state_.outcomes[TestIdentity(1).key] = LoadOutcome::kIoError;
  EXPECT_EQ(LoadNow(*tier, 0), LoadOutcome::kCorrupt);
  EXPECT_EQ(LoadNow(*tier, 1), LoadOutcome::kIoError);
  EXPECT_EQ(tier->Stats().integrity_failures, 1);
  EXPECT_EQ(tier->Stats().io_errors, 1);
  EXPECT_FALSE(tier->Contains(TestIdentity(0).key));
  EXPECT_FALSE(tier->Contains(TestIdentity(1).key));
  EXPECT_TRUE(tier->Contains(TestIdentity(2).key));
}

TEST_F(TierTest, AFailedWriteSwitchesStoresOffUntilTheRetry) {
  auto tier = Controlled();
  Store(*tier, 0);
  ASSERT_FALSE(tier->Flush());
  state_.Set(&ControlledStore::State::fail_writes, true);
  Store(*tier, 1);
  ASSERT_FALSE(tier->Flush());
  EXPECT_EQ(tier->Stats().io_errors, 1);
  Store(*tier, 2);  // not even tried
  EXPECT_EQ(tier->Stats().stores_dropped, 1);
  EXPECT_EQ(LoadNow(*tier, 0), LoadOutcome::kLoaded);  // reads go on

  state_.Set(&ControlledStore::State::fail_writes, false);
  clock_.Advance(options_.retry_after);
  Store(*tier, 3);
  ASSERT_FALSE(tier->Flush());
  EXPECT_TRUE(tier->Contains(TestIdentity(3).key));
}

TEST_F(TierTest, VerifyingDropsWhatIsDamagedAndListsIt) {
  auto tier = Real();
  for (int i = 0; i < 4; ++i) Store(*tier, i);
  ASSERT_FALSE(tier->Flush());
  TierReport report = tier->Verify();
  EXPECT_EQ(report.pages_checked, 4);
  EXPECT_EQ(report.pages_bad, 0);
  tier.reset();
  const PageKey damaged = TestIdentity(2).key;
  ChangeStored(directory_, "l" + std::string(damaged.bytes.begin(), damaged.bytes.end()),
               [](std::string& value) { value = "nothing"; });
  tier = Real();
  report = tier->Verify();
  EXPECT_EQ(report.pages_checked, 4);
  EXPECT_EQ(report.pages_bad, 1);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_NE(report.problems[0].find("segment latent"), std::string::npos);
  EXPECT_FALSE(tier->Contains(TestIdentity(2).key));
  EXPECT_EQ(tier->Stats().integrity_failures, 1);
  EXPECT_EQ(tier->Verify().pages_checked, 3);
}

TEST_F(TierTest, ClearingEmptiesTheStoreForGood) {
  {
    auto tier = Real();
    for (int i = 0; i < 4; ++i) Store(*tier, i);
    ASSERT_FALSE(tier->Flush());
    const auto cleared = tier->Clear();
    ASSERT_TRUE(cleared.ok());
    EXPECT_EQ(cleared.value(), 4);
    EXPECT_FALSE(tier->Contains(TestIdentity(0).key));
  }
  EXPECT_EQ(Real()->Stats().pages, 0);
}

TEST_F(TierTest, FlushesByItselfAWhileAfterTheLastWrite) {
  options_.flush_after = 5ms;
  auto tier = Controlled();
  Store(*tier, 0);
  state_.AwaitFlushes(1);
}

// Fails every write to files while switched on: what a full disk looks like from RocksDB.
class FullDisk final : public rocksdb::FileSystemWrapper {
 public:
  explicit FullDisk(std::shared_ptr<rocksdb::FileSystem> base)
      : rocksdb::FileSystemWrapper(std::move(base)) {}
  const char* Name() const override { return "FullDisk"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override {
    if (full) return rocksdb::IOStatus::NoSpace("disk full");
    return rocksdb::FileSystemWrapper::NewWritableFile(name, options, file, context);
  }
  std::atomic<bool> full{false};
};

TEST_F(TierTest, AFullDiskCostsTheTierAndNothingElse) {
  const auto disk = std::make_shared<FullDisk>(rocksdb::FileSystem::Default());
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  auto tier = Real(env.get());
  Store(*tier, 0);
  ASSERT_FALSE(tier->Flush());
  disk->full = true;
  Store(*tier, 1);
  const auto error = tier->Flush();
  ASSERT_TRUE(error.has_value());
  EXPECT_NE(error->message.find("disk full"), std::string::npos);
  EXPECT_EQ(LoadNow(*tier, 0), LoadOutcome::kLoaded);
  Store(*tier, 2);
  tier->Flush();
  EXPECT_EQ(LoadNow(*tier, 0), LoadOutcome::kLoaded);

  // RocksDB itself looks for space every few seconds and is busy until it has found some.
  disk->full = false;
  for (int attempt = 0; attempt < 60 && !tier->Contains(TestIdentity(3).key); ++attempt) {
    std::this_thread::sleep_for(500ms);
    clock_.Advance(options_.retry_after);
    Store(*tier, 3);
    tier->Flush();
  }
  EXPECT_EQ(LoadNow(*tier, 3), LoadOutcome::kLoaded);
  EXPECT_EQ(pool_->counts().referenced, 0);
}

}  // namespace
}  // namespace lectern::cache
