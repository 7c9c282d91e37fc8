#include "engine/cache/tiers/rocksdb_tier.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/base/log.h"
#include "engine/cache/tiers/lru_keys.h"

namespace lectern::cache {
namespace {

constexpr std::string_view kTier = "disk";

class RocksdbTier final : public PageTier {
 public:
  RocksdbTier(std::unique_ptr<PageStore> store, const RocksdbTierOptions& options,
              base::Metrics& metrics, const base::Clock& clock)
      : store_(std::move(store)), options_(options), metrics_(metrics), clock_(clock) {
    RebuildKeys();
    writer_ = std::thread([this] { RunWriter(); });
    for (int i = 0; i < std::max(1, options_.read_threads); ++i) {
      readers_.emplace_back([this] { RunReader(); });
    }
  }

  ~RocksdbTier() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      loads_.clear();  // nobody is left to take them
    }
    work_.notify_all();
    for (std::thread& reader : readers_) reader.join();
    writer_.join();  // writes what is queued and flushes
  }

  bool Contains(const PageKey& key) const override {
    const std::lock_guard lock(mutex_);
    return keys_.Contains(key);
  }

  void Store(const PageIdentity& identity, PageHandle page) override {
    std::string_view dropped;
    {
      const std::lock_guard lock(mutex_);
      if (keys_.Touch(identity.key) || storing_.contains(identity.key)) return;
      if (clock_.Now() < retry_at_) {
        dropped = "degraded";
      } else if (stores_.size() >= static_cast<std::size_t>(options_.max_queued_stores)) {
        dropped = "queue_full";
      } else {
        storing_.insert(identity.key);
        stores_.push_back({identity, page.Share(PageHolder::kTierWrite)});
        ++stores_accepted_;
      }
      if (!dropped.empty()) ++stats_.stores_dropped;
    }
    if (dropped.empty()) {
      work_.notify_all();
    } else {
      metrics_.Add("lectern_tier_stores_dropped_total", 1, {{"tier", kTier}, {"reason", dropped}});
    }
  }

  void Load(std::vector<PageLoad> loads) override {
    {
      const std::lock_guard lock(mutex_);
      for (PageLoad& load : loads) loads_.push_back(std::move(load));
    }
    work_.notify_all();
  }

  void CancelLoads(uint64_t ticket) override {
    std::vector<PageHandle> released;  // outside the lock
    const std::lock_guard lock(mutex_);
    std::erase_if(loads_, [&](PageLoad& load) {
      if (load.ticket != ticket) return false;
      loaded_.push_back({ticket, load.page_index, LoadOutcome::kCancelled});
      released.push_back(std::move(load.destination));
      return true;
    });
  }

  std::vector<LoadedPage> TakeLoaded() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(loaded_, {});
  }

  void SetWake(std::function<void()> wake) override {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }

  std::optional<base::Error> Flush() override {
    {
      std::unique_lock lock(mutex_);
      const uint64_t wanted = stores_accepted_;
      written_.wait(lock, [&] { return stores_finished_ >= wanted; });
    }
    return store_->Flush();
  }

  TierReport Verify() override {
    StoreReport found = store_->Verify(/*repair=*/true);
    {
      const std::lock_guard lock(mutex_);
      for (const PageKey& key : found.damaged_keys) keys_.Erase(key);
    }
    CountDamaged(found.damaged);
    return {found.pages + found.damaged, found.damaged, std::move(found.problems)};
  }

  base::Expected<int64_t> Clear() override {
    int64_t cleared = 0;
    while (true) {
      PageKey key;
      {
        const std::lock_guard lock(mutex_);
        if (keys_.size() == 0) break;
        key = keys_.oldest();
        keys_.Erase(key);
      }
      if (auto error = store_->Delete(key)) return *std::move(error);
      ++cleared;
    }
    if (cleared > 0) store_->Compact();
    return cleared;
  }

  TierStats Stats() const override {
    const std::lock_guard lock(mutex_);
    TierStats stats = stats_;
    stats.pages = keys_.size();
    stats.bytes = keys_.bytes();
    stats.idle = stores_finished_ == stores_accepted_ && loads_.empty() && reading_ == 0;
    return stats;
  }

 private:
  struct PendingStore {
    PageIdentity identity;
    PageHandle page;
  };

  void RebuildKeys() {
    std::vector<PageStore::Entry> entries;
    const int64_t damaged =
        store_->ForEach([&](const PageStore::Entry& entry) { entries.push_back(entry); });
    // Last use is not stored; time of writing is the best that is known of an older process's
    // pages.
    std::ranges::stable_sort(entries, {}, &PageStore::Entry::created_unix_seconds);
    for (const PageStore::Entry& entry : entries) keys_.Insert(entry.key, entry.bytes);
    CountDamaged(damaged);
  }

  // ---- writer ----

  void RunWriter() {
    bool unflushed = false;
    std::unique_lock lock(mutex_);
    while (true) {
      const auto has_work = [this] { return stopping_ || !stores_.empty(); };
      if (!unflushed) {
        work_.wait(lock, has_work);
      } else if (!work_.wait_for(lock, options_.flush_after, has_work)) {
        lock.unlock();
        FlushBehind();
        lock.lock();
        unflushed = false;
        continue;
      }
      if (stores_.empty()) break;  // stopping, and all is written
      PendingStore pending = std::move(stores_.front());
      stores_.pop_front();
      lock.unlock();
      unflushed |= WriteOne(pending);
      pending.page.reset();
      EvictOverBudget();
      lock.lock();
      storing_.erase(pending.identity.key);
      ++stores_finished_;
      const auto wake = wake_;
      lock.unlock();
      written_.notify_all();
      if (wake) wake();
      lock.lock();
    }
    lock.unlock();
    if (unflushed) FlushBehind();
  }

  bool WriteOne(const PendingStore& pending) {
    const auto created = std::chrono::duration_cast<std::chrono::seconds>(clock_.WallNow()).count();
    if (degraded_) {
      if (const auto error = store_->Resume()) return WriteFailed(error->message);
    }
    const auto error = store_->Put(pending.identity, options_.layout, pending.page.bytes(),
                                   static_cast<uint64_t>(created));
    if (error) return WriteFailed(error->message);
    degraded_ = false;
    metrics_.Add("lectern_tier_write_bytes_total",
                 static_cast<double>(options_.layout.index_bytes()),
                 {{"tier", kTier}, {"segment", "index"}});
    metrics_.Add("lectern_tier_write_bytes_total",
                 static_cast<double>(options_.layout.latent_bytes()),
                 {{"tier", kTier}, {"segment", "latent"}});
    const std::lock_guard lock(mutex_);
    keys_.Insert(pending.identity.key, StoredPageBytes(options_.layout));
    return true;
  }

  // Off until a retry succeeds: a full disk must not cost a failing write for every page.
  bool WriteFailed(const std::string& message) {
    base::Log(base::LogLevel::kWarning, "cache", "disk tier off: " + message);
    degraded_ = true;
    CountIoError("write");
    const std::lock_guard lock(mutex_);
    retry_at_ = clock_.Now() + options_.retry_after;
    return false;
  }

  void EvictOverBudget() {
    int64_t evicted = 0;
    while (true) {
      PageKey key;
      {
        const std::lock_guard lock(mutex_);
        if (keys_.bytes() <= options_.budget_bytes || keys_.size() == 0) break;
        key = keys_.oldest();
        keys_.Erase(key);
        ++stats_.evictions;
      }
      // Should the delete fail the page stays on disk, unknown, until the next opening finds it.
      if (store_->Delete(key)) CountIoError("delete");
      ++evicted;
    }
    if (evicted == 0) return;
    metrics_.Add("lectern_cache_evictions_total", static_cast<double>(evicted),
                 {{"tier", kTier}, {"reason", "budget"}});
    garbage_bytes_ += evicted * StoredPageBytes(options_.layout);
    // Deletes free nothing by themselves: blob files go when a compaction drops the references.
    if (garbage_bytes_ <= std::max<int64_t>(options_.budget_bytes / 4, int64_t{64} << 20)) return;
    garbage_bytes_ = 0;
    store_->Compact();
  }

  void FlushBehind() {
    if (const auto error = store_->Flush()) {
      CountIoError("flush");
      base::Log(base::LogLevel::kWarning, "cache", error->message);
    }
  }

  // ---- readers ----

  void RunReader() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [this] { return stopping_ || !loads_.empty(); });
      if (loads_.empty()) return;
      PageLoad load = std::move(loads_.front());
      loads_.pop_front();
      ++reading_;
      lock.unlock();
      const LoadOutcome outcome = ReadOne(load);
      load.destination.reset();
      lock.lock();
      --reading_;
      loaded_.push_back({load.ticket, load.page_index, outcome});
      if (outcome == LoadOutcome::kLoaded) keys_.Touch(load.identity.key);
      // A failing disk must not be asked for the same page at every look-up; the next opening may
      // find it again.
      if (outcome == LoadOutcome::kMissing || outcome == LoadOutcome::kCorrupt ||
          outcome == LoadOutcome::kIoError) {
        keys_.Erase(load.identity.key);
      }
      const auto wake = wake_;
      lock.unlock();
      if (wake) wake();
      lock.lock();
    }
  }

  LoadOutcome ReadOne(const PageLoad& load) {
    const auto start = clock_.Now();
    const LoadOutcome outcome =
        store_->Get(load.identity, options_.layout, load.destination.bytes());
    if (outcome == LoadOutcome::kLoaded) {
      metrics_.Observe("lectern_tier_read_seconds", base::Seconds(clock_.Now() - start),
                       {{"tier", kTier}});
      metrics_.Add("lectern_tier_read_bytes_total",
                   static_cast<double>(options_.layout.index_bytes()),
                   {{"tier", kTier}, {"segment", "index"}});
      metrics_.Add("lectern_tier_read_bytes_total",
                   static_cast<double>(options_.layout.latent_bytes()),
                   {{"tier", kTier}, {"segment", "latent"}});
    }
    if (outcome == LoadOutcome::kCorrupt || outcome == LoadOutcome::kCollision) CountDamaged(1);
    if (outcome == LoadOutcome::kIoError) CountIoError("read");
    return outcome;
  }

  // ---- counters ----

  void CountDamaged(int64_t pages) {
    if (pages == 0) return;
    metrics_.Add("lectern_cache_integrity_failures_total", static_cast<double>(pages),
                 {{"tier", kTier}});
    const std::lock_guard lock(mutex_);
    stats_.integrity_failures += pages;
  }

  void CountIoError(std::string_view operation) {
    metrics_.Add("lectern_tier_errors_total", 1, {{"tier", kTier}, {"operation", operation}});
    const std::lock_guard lock(mutex_);
    ++stats_.io_errors;
  }

  const std::unique_ptr<PageStore> store_;
  const RocksdbTierOptions options_;
  base::Metrics& metrics_;
  const base::Clock& clock_;

  bool degraded_ = false;      // the writer's own
  int64_t garbage_bytes_ = 0;  // the writer's own

  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable work_;
  std::condition_variable written_;
  bool stopping_ = false;
  LruKeys keys_;
  std::deque<PendingStore> stores_;
  std::unordered_set<PageKey, PageKeyHash> storing_;  // queued or being written
  uint64_t stores_accepted_ = 0;
  uint64_t stores_finished_ = 0;
  std::chrono::nanoseconds retry_at_ = std::chrono::nanoseconds::min();
  std::deque<PageLoad> loads_;
  int reading_ = 0;
  std::vector<LoadedPage> loaded_;
  std::function<void()> wake_;
  TierStats stats_;

  std::thread writer_;
  std::vector<std::thread> readers_;
};

}  // namespace

std::unique_ptr<PageTier> CreateRocksdbTier(std::unique_ptr<PageStore> store,
                                            const RocksdbTierOptions& options,
                                            base::Metrics& metrics, const base::Clock& clock) {
  return std::make_unique<RocksdbTier>(std::move(store), options, metrics, clock);
}

}  // namespace lectern::cache
