#pragma once
// A place below memory that keeps whole pages: the local RocksDB store, later host memory and a
// remote store. Writes and reads happen on the tier's own threads; the loop only enqueues and
// polls.
//
// A page on its way to or from a tier is pinned by a handle of the tier (PageHolder::kTierRead or
// kTierWrite), so nothing can reuse its memory under the transfer. A tier never fails a request:
// what it cannot deliver, or delivers damaged, is a miss with a counter.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/cache/block_pool.h"
#include "engine/cache/page_key.h"

namespace lectern::cache {

struct PageLoad {
  uint64_t ticket = 0;     // the request's id, for CancelLoads
  int64_t page_index = 0;  // the caller's, handed back
  PageIdentity identity;   // compared with what is stored, token ids included
  PageHandle destination;  // held by the tier until the load is over
};

enum class LoadOutcome {
  kLoaded,
  kMissing,    // deleted since Contains said yes, or lost in a crash
  kCorrupt,    // checksum, length, layout or manifest wrong; deleted from the tier
  kCollision,  // another text under the same key
  kIoError,
  kCancelled,
};

// The destination's handle is released before this is handed out.
struct LoadedPage {
  uint64_t ticket = 0;
  int64_t page_index = 0;
  LoadOutcome outcome = LoadOutcome::kLoaded;
};

struct TierStats {
  int64_t pages = 0;
  int64_t bytes = 0;
  int64_t stores_dropped = 0;      // queue full or tier degraded
  int64_t integrity_failures = 0;  // pages found damaged
  int64_t io_errors = 0;
  int64_t evictions = 0;
  bool idle = true;  // no transfer queued or in flight
};

// What a walk over everything that is stored found.
struct TierReport {
  int64_t pages_checked = 0;
  int64_t pages_bad = 0;              // deleted
  std::vector<std::string> problems;  // one line each, at most 100
};

// Thread safe.
class PageTier {
 public:
  virtual ~PageTier() = default;  // finishes or drops what is queued, releases every handle

  // No I/O: from the key set in memory.
  virtual bool Contains(const PageKey& key) const = 0;
  // Writes `page` behind; returns at once. Dropped, with a counter, where the queue is full.
  virtual void Store(const PageIdentity& identity, PageHandle page) = 0;
  // Reads asynchronously; the results come from TakeLoaded, in any order.
  virtual void Load(std::vector<PageLoad> loads) = 0;
  // Loads of `ticket` that have not started end as kCancelled.
  virtual void CancelLoads(uint64_t ticket) = 0;
  virtual std::vector<LoadedPage> TakeLoaded() = 0;
  // Called from the tier's threads after a load or a store is over. Set once, before use.
  virtual void SetWake(std::function<void()> wake) = 0;
  // Waits until everything stored so far is on disk. An error leaves the tier usable.
  virtual std::optional<base::Error> Flush() = 0;
  // Reads and checks every page; damaged ones are deleted.
  virtual TierReport Verify() = 0;
  // Forgets every page. Returns how many there were. Unavailable: the store cannot delete.
  virtual base::Expected<int64_t> Clear() = 0;
  virtual TierStats Stats() const = 0;
};

}  // namespace lectern::cache
