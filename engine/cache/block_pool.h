#pragma once
// The engine's KV pages: one mapping carved at start, pages handed out by handles that pin.
//
//   free ──Allocate──> referenced ──last handle gone──> free        (not published)
//                      referenced ──last handle gone──> cached      (published: LRU, newest last)
//   cached ──Pin──> referenced        cached ──Allocate needs it──> evicted, then referenced
//
// Admission reserves before it starts: free + cached never falls below what is reserved, so an
// admitted request always finds its pages, nobody is preempted and no two requests can wait for
// each other.
//
// Thread safe: the loop allocates, tier threads hold and release. One mutex, held for a few
// instructions.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/cache/kv_layout.h"

namespace lectern::cache {

using PageId = int32_t;
inline constexpr PageId kNoPage = -1;

class BlockPool;

// On whose account a handle pins its page.
enum class PageHolder : uint8_t {
  kSequence,   // a live request
  kTierRead,   // a tier fills the page: until then it is loading and cannot be published
  kTierWrite,  // a tier copies the page away
};

// Owns one reference to a page. Move only; must not outlive the pool.
class PageHandle {
 public:
  PageHandle() = default;
  PageHandle(PageHandle&& other) noexcept;
  PageHandle& operator=(PageHandle&& other) noexcept;
  ~PageHandle() { reset(); }

  bool valid() const { return pool_ != nullptr; }
  PageId id() const { return id_; }
  std::span<std::byte> bytes() const;
  PageHandle Share(PageHolder holder) const;
  void reset();

 private:
  friend class BlockPool;
  PageHandle(BlockPool* pool, PageId id, PageHolder holder)
      : pool_(pool), id_(id), holder_(holder) {}

  BlockPool* pool_ = nullptr;
  PageId id_ = kNoPage;
  PageHolder holder_ = PageHolder::kSequence;
};

// Pages promised but not yet allocated. Move only; must not outlive the pool.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { reset(); }

  int64_t remaining() const { return remaining_; }
  void reset();

 private:
  friend class BlockPool;
  Reservation(BlockPool* pool, int64_t pages) : pool_(pool), remaining_(pages) {}

  BlockPool* pool_ = nullptr;
  int64_t remaining_ = 0;
};

// free + cached + referenced == total; loading pages are among the referenced.
struct PoolCounts {
  int64_t total = 0;
  int64_t free = 0;
  int64_t cached = 0;
  int64_t referenced = 0;
  int64_t loading = 0;
  int64_t reserved = 0;
};

class BlockPool {
 public:
  // Memory is mapped, not touched: a small use of a large pool stays small.
  // InvalidArgument: no pages, or a layout without bytes. ResourceExhausted: the mapping fails.
  static base::Expected<std::unique_ptr<BlockPool>> Create(const KvLayout& layout,
                                                           int64_t num_pages);
  ~BlockPool();  // every handle and reservation must be gone
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Called when a cached page is given up, on the thread that caused it, before the page is reused
  // and outside the pool's lock. Set once, before use.
  void SetEvictionListener(std::function<void(PageId)> listener);

  // ResourceExhausted, with the numbers: fewer pages are free or evictable than are asked for.
  base::Expected<Reservation> Reserve(int64_t pages);
  // Takes one page out of `reservation`, which must not be empty; evicts the oldest cached page
  // where none is free. The contents are whatever the last owner left.
  PageHandle Allocate(Reservation& reservation);
  // Undoes Allocate: frees the page, whose only handle this must be, and credits the reservation.
  void ReturnTo(Reservation& reservation, PageHandle page);
  // One more handle to a published page. Invalid handle: taking a cached page away would break a
  // reservation; the caller waits.
  PageHandle Pin(PageId page);

  // The page outlives its handles from now on, until evicted. It must be referenced and not
  // loading.
  void Publish(PageId page);
  // Evicts every cached page; the listener is called for each. Returns how many.
  int64_t DropCached();

  PoolCounts counts() const;
  // Changes whenever pages or reservations come back: nothing to retry while it stands still.
  uint64_t release_epoch() const;
  // Referenced pages that no known owner accounts for: neither in `held_by_sequences` ([total]
  // flags) nor pinned by a tier. 0, or there is a leak.
  int64_t CountUnaccounted(std::span<const uint8_t> held_by_sequences) const;
  // Pages pinned by tiers; must be 0 while no tier has work.
  int64_t CountHeldByTiers() const;

  KvPagesView view() const { return {base_, layout_}; }
  const KvLayout& layout() const { return layout_; }

 private:
  friend class PageHandle;
  friend class Reservation;

  struct Page {
    int32_t refs = 0;
    int32_t read_refs = 0;   // part of refs
    int32_t write_refs = 0;  // part of refs
    bool published = false;
    PageId older = kNoPage;  // neighbours in the LRU list, while cached
    PageId newer = kNoPage;
  };

  BlockPool(const KvLayout& layout, std::byte* base, std::size_t bytes, int64_t num_pages);

  Page& at(PageId page) { return pages_[static_cast<std::size_t>(page)]; }
  const Page& at(PageId page) const { return pages_[static_cast<std::size_t>(page)]; }
  int64_t AvailableLocked() const { return static_cast<int64_t>(free_.size()) + num_cached_; }
  void AddReferenceLocked(PageId page, PageHolder holder);
  void LinkNewestLocked(PageId page);
  void UnlinkLocked(PageId page);
  void DropReference(PageId page, PageHolder holder);
  void DropReferenceLocked(PageId page, PageHolder holder);
  void Unreserve(int64_t pages);

  const KvLayout layout_;
  std::byte* const base_;
  const std::size_t mapped_bytes_;
  std::function<void(PageId)> on_evict_;

  mutable std::mutex mutex_;  // guards everything below
  std::vector<Page> pages_;
  std::vector<PageId> free_;  // a stack, so that few pages are ever touched
  PageId oldest_ = kNoPage;
  PageId newest_ = kNoPage;
  int64_t num_cached_ = 0;
  int64_t num_loading_ = 0;
  int64_t reserved_ = 0;
  uint64_t release_epoch_ = 0;
};

}  // namespace lectern::cache
