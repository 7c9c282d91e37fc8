#include "engine/cache/block_pool.h"

#include <sys/mman.h>

#include <limits>
#include <string>
#include <utility>

#include "engine/base/check.h"

namespace lectern::cache {

PageHandle::PageHandle(PageHandle&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      id_(std::exchange(other.id_, kNoPage)),
      holder_(other.holder_) {}

PageHandle& PageHandle::operator=(PageHandle&& other) noexcept {
  if (this == &other) return *this;
  reset();
  pool_ = std::exchange(other.pool_, nullptr);
  id_ = std::exchange(other.id_, kNoPage);
  holder_ = other.holder_;
  return *this;
}

std::span<std::byte> PageHandle::bytes() const {
  const KvPagesView view = pool_->view();
  return {view.page(id_), static_cast<std::size_t>(view.layout.page_bytes())};
}

PageHandle PageHandle::Share(PageHolder holder) const {
  LECTERN_CHECK(valid());
  const std::lock_guard lock(pool_->mutex_);
  pool_->AddReferenceLocked(id_, holder);
  return {pool_, id_, holder};
}

void PageHandle::reset() {
  if (BlockPool* pool = std::exchange(pool_, nullptr)) {
    pool->DropReference(std::exchange(id_, kNoPage), holder_);
  }
}

Reservation::Reservation(Reservation&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), remaining_(std::exchange(other.remaining_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  reset();
  pool_ = std::exchange(other.pool_, nullptr);
  remaining_ = std::exchange(other.remaining_, 0);
  return *this;
}

void Reservation::reset() {
  if (BlockPool* pool = std::exchange(pool_, nullptr)) {
    pool->Unreserve(std::exchange(remaining_, 0));
  }
}

base::Expected<std::unique_ptr<BlockPool>> BlockPool::Create(const KvLayout& layout,
                                                             int64_t num_pages) {
  if (num_pages < 1 || num_pages > std::numeric_limits<PageId>::max() || layout.page_bytes() < 1) {
    return base::Error{base::Code::kInvalidArgument,
                       "page pool: " + std::to_string(num_pages) + " pages of " +
                           std::to_string(layout.page_bytes()) + " bytes"};
  }
  const auto bytes = static_cast<std::size_t>(num_pages * layout.page_bytes());
  // NORESERVE: the pool is a ceiling; the kernel finds memory for the pages that are used.
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    return base::Error{base::Code::kResourceExhausted,
                       "page pool: cannot map " + std::to_string(bytes) + " bytes"};
  }
  return std::unique_ptr<BlockPool>(
      new BlockPool(layout, static_cast<std::byte*>(base), bytes, num_pages));
}

BlockPool::BlockPool(const KvLayout& layout, std::byte* base, std::size_t bytes, int64_t num_pages)
    : layout_(layout),
      base_(base),
      mapped_bytes_(bytes),
      pages_(static_cast<std::size_t>(num_pages)) {
  free_.reserve(pages_.size());
  for (auto page = static_cast<PageId>(num_pages); page-- > 0;) free_.push_back(page);
}

BlockPool::~BlockPool() {
  const PoolCounts last = counts();
  LECTERN_CHECK(last.referenced == 0 && last.reserved == 0);
  munmap(base_, mapped_bytes_);
}

void BlockPool::SetEvictionListener(std::function<void(PageId)> listener) {
  on_evict_ = std::move(listener);
}

base::Expected<Reservation> BlockPool::Reserve(int64_t pages) {
  LECTERN_CHECK(pages >= 0);
  const std::lock_guard lock(mutex_);
  const int64_t unreserved = AvailableLocked() - reserved_;
  if (pages > unreserved) {
    return base::Error{base::Code::kResourceExhausted,
                       "needs " + std::to_string(pages) + " pages, " + std::to_string(unreserved) +
                           " of " + std::to_string(pages_.size()) + " can be had"};
  }
  reserved_ += pages;
  return Reservation(this, pages);
}

PageHandle BlockPool::Allocate(Reservation& reservation) {
  PageId page = kNoPage;
  bool evicted = false;
  {
    const std::lock_guard lock(mutex_);
    LECTERN_CHECK(reservation.pool_ == this && reservation.remaining_ > 0);
    --reservation.remaining_;
    --reserved_;
    if (!free_.empty()) {
      page = free_.back();
      free_.pop_back();
    } else {
      page = oldest_;
      LECTERN_CHECK(page != kNoPage);  // what Reserve promised
      UnlinkLocked(page);
      at(page).published = false;
      evicted = true;
    }
    LECTERN_CHECK(at(page).refs == 0 && !at(page).published);
    at(page).refs = 1;
  }
  if (evicted && on_evict_) on_evict_(page);
  return {this, page, PageHolder::kSequence};
}

void BlockPool::ReturnTo(Reservation& reservation, PageHandle page) {
  const std::lock_guard lock(mutex_);
  LECTERN_CHECK(page.pool_ == this && reservation.pool_ == this);
  LECTERN_CHECK(at(page.id_).refs == 1 && !at(page.id_).published);
  DropReferenceLocked(page.id_, page.holder_);
  page.pool_ = nullptr;  // dropped here, not by its destructor
  ++reservation.remaining_;
  ++reserved_;
}

PageHandle BlockPool::Pin(PageId page) {
  const std::lock_guard lock(mutex_);
  LECTERN_CHECK(at(page).published);
  if (at(page).refs == 0 && AvailableLocked() - 1 < reserved_) return {};
  AddReferenceLocked(page, PageHolder::kSequence);
  return {this, page, PageHolder::kSequence};
}

void BlockPool::Publish(PageId page) {
  const std::lock_guard lock(mutex_);
  LECTERN_CHECK(at(page).refs > 0 && at(page).read_refs == 0);
  at(page).published = true;
}

int64_t BlockPool::DropCached() {
  std::vector<PageId> dropped;
  {
    const std::lock_guard lock(mutex_);
    while (oldest_ != kNoPage) {
      const PageId page = oldest_;
      UnlinkLocked(page);
      at(page).published = false;
      free_.push_back(page);
      dropped.push_back(page);
    }
  }
  if (on_evict_) {
    for (const PageId page : dropped) on_evict_(page);
  }
  return static_cast<int64_t>(dropped.size());
}

PoolCounts BlockPool::counts() const {
  const std::lock_guard lock(mutex_);
  PoolCounts counts;
  counts.total = static_cast<int64_t>(pages_.size());
  counts.free = static_cast<int64_t>(free_.size());
  counts.cached = num_cached_;
  counts.referenced = counts.total - counts.free - counts.cached;
  counts.loading = num_loading_;
  counts.reserved = reserved_;
  return counts;
}

uint64_t BlockPool::release_epoch() const {
  const std::lock_guard lock(mutex_);
  return release_epoch_;
}

int64_t BlockPool::CountUnaccounted(std::span<const uint8_t> held_by_sequences) const {
  const std::lock_guard lock(mutex_);
  LECTERN_CHECK(held_by_sequences.size() == pages_.size());
  int64_t unaccounted = 0;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    const bool held_otherwise = pages_[i].refs > pages_[i].read_refs + pages_[i].write_refs;
    if (held_otherwise && held_by_sequences[i] == 0) ++unaccounted;
  }
  return unaccounted;
}

int64_t BlockPool::CountHeldByTiers() const {
  const std::lock_guard lock(mutex_);
  int64_t held = 0;
  for (const Page& page : pages_) held += page.read_refs + page.write_refs > 0 ? 1 : 0;
  return held;
}

void BlockPool::AddReferenceLocked(PageId page, PageHolder holder) {
  if (at(page).refs == 0) UnlinkLocked(page);
  Page& entry = at(page);
  ++entry.refs;
  if (holder == PageHolder::kTierWrite) ++entry.write_refs;
  if (holder != PageHolder::kTierRead) return;
  LECTERN_CHECK(!entry.published);
  if (++entry.read_refs == 1) ++num_loading_;
}

void BlockPool::LinkNewestLocked(PageId page) {
  at(page).older = newest_;
  at(page).newer = kNoPage;
  (newest_ == kNoPage ? oldest_ : at(newest_).newer) = page;
  newest_ = page;
  ++num_cached_;
}

void BlockPool::UnlinkLocked(PageId page) {
  Page& entry = at(page);
  LECTERN_CHECK(entry.published && entry.refs == 0);
  (entry.older == kNoPage ? oldest_ : at(entry.older).newer) = entry.newer;
  (entry.newer == kNoPage ? newest_ : at(entry.newer).older) = entry.older;
  entry.older = entry.newer = kNoPage;
  --num_cached_;
}

void BlockPool::DropReference(PageId page, PageHolder holder) {
  const std::lock_guard lock(mutex_);
  DropReferenceLocked(page, holder);
}

void BlockPool::DropReferenceLocked(PageId page, PageHolder holder) {
  Page& entry = at(page);
  LECTERN_CHECK(entry.refs > 0);
  --entry.refs;
  if (holder == PageHolder::kTierWrite) --entry.write_refs;
  if (holder == PageHolder::kTierRead && --entry.read_refs == 0) --num_loading_;
  if (entry.refs > 0) return;
  ++release_epoch_;
  if (entry.published) {
    LinkNewestLocked(page);
  } else {
    free_.push_back(page);
  }
}

void BlockPool::Unreserve(int64_t pages) {
  const std::lock_guard lock(mutex_);
  reserved_ -= pages;
  if (pages > 0) ++release_epoch_;
  LECTERN_CHECK(reserved_ >= 0);
}

}  // namespace lectern::cache
