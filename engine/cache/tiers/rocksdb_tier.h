#pragma once
// The local disk tier: a PageStore behind a writer thread and reader threads, with a budget.
//
// The writer takes from a bounded queue and never holds up the loop: what does not fit is dropped
// and counted. It flushes a while after the last write, so that a crash loses little although there
// is no WAL. After a failed write (disk full) stores are dropped until a retry succeeds; reads go
// on.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/metrics.h"
#include "engine/cache/page_tier.h"
#include "engine/cache/tiers/page_store.h"

namespace lectern::cache {

struct RocksdbTierOptions {
  KvLayout layout;
  // Bytes of live pages; the oldest used go first. The directory may hold half as much again until
  // RocksDB's next garbage collection.
  int64_t budget_bytes = 8LL << 30;
  // Two saturate the disks measured; more only help where the device has deep queues.
  int read_threads = 2;
  // Pages pinned by pending writes at most.
  int max_queued_stores = 256;
  std::chrono::milliseconds flush_after{2000};  // after the last write
  std::chrono::milliseconds retry_after{5000};  // after a failed write
};

// Takes the key set from `store` (no page is read). `metrics` and `clock` must outlive the tier,
// and the pool of the pages too.
std::unique_ptr<PageTier> CreateRocksdbTier(std::unique_ptr<PageStore> store,
                                            const RocksdbTierOptions& options,
                                            base::Metrics& metrics, const base::Clock& clock);

}  // namespace lectern::cache
