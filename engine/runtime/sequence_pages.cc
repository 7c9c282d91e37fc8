#include "engine/runtime/sequence_pages.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/base/check.h"

namespace lectern::runtime {
namespace {

using cache::kPageSize;

int64_t PagesFor(int64_t tokens) { return (tokens + kPageSize - 1) / kPageSize; }

// Positions that will ever be computed: the last generated token is not.
int64_t TotalPages(const Sequence& sequence) {
  return PagesFor(sequence.prompt_size() + sequence.request.max_new_tokens - 1);
}

std::string_view NameOf(cache::MissReason reason) {
  switch (reason) {
    case cache::MissReason::kNone:
      break;
    case cache::MissReason::kNeverStored:
      return "never_stored";
    case cache::MissReason::kEvicted:
      return "evicted";
    case cache::MissReason::kCollision:
      return "collision";
  }
  return "";
}

std::string_view NameOf(cache::LoadOutcome outcome) {
  switch (outcome) {
    case cache::LoadOutcome::kMissing:
      return "lost";
    case cache::LoadOutcome::kCorrupt:
      return "corrupt";
    case cache::LoadOutcome::kCollision:
      return "collision";
    case cache::LoadOutcome::kIoError:
      return "io_error";
    case cache::LoadOutcome::kLoaded:
    case cache::LoadOutcome::kCancelled:
      break;
  }
  return "";
}

}  // namespace

SequencePages::SequencePages(std::unique_ptr<cache::BlockPool> pool,
                             std::unique_ptr<cache::PageTier> tier,
                             const cache::PageKey& name_space, cache::PageHash hash,
                             base::Metrics& metrics)
    : name_space_(name_space),
      hash_(std::move(hash)),
      metrics_(metrics),
      pool_(std::move(pool)),
      tier_(std::move(tier)) {
  pool_->SetEvictionListener([this](cache::PageId page) {
    index_.Erase(page);
    metrics_.Add("lectern_cache_evictions_total", 1,
                 {{"tier", "device"}, {"reason", eviction_reason_}});
  });
}

int64_t SequencePages::DropMemory() {
  eviction_reason_ = "asked";
  const int64_t dropped = pool_->DropCached();
  eviction_reason_ = "room";
  return dropped;
}

cache::PageKeyChain SequencePages::KeysOf(std::span<const int32_t> tokens,
                                          std::string_view salt) const {
  cache::PageKeyChain chain(cache::RootKey(name_space_, salt), hash_);
  chain.Extend(tokens);
  return chain;
}

int64_t SequencePages::CachedTokens(std::span<const int32_t> prompt, std::string_view salt) const {
  const auto reusable = cache::ReusablePages(static_cast<int64_t>(prompt.size()));
  const cache::PrefixMatch match =
      cache::MatchPrefix(KeysOf(prompt, salt), prompt, reusable, index_, tier_.get());
  return static_cast<int64_t>(match.pages.size()) * kPageSize;
}

// A request that counts selections computes every row that it counts: the hit ends before the last
// prompt token even where generated tokens of an earlier run follow.
int64_t SequencePages::ReusablePages(const Sequence& sequence) const {
  return cache::ReusablePages(sequence.request.record_selections ? sequence.prompt_size()
                                                                 : sequence.size());
}

scheduler::Admission SequencePages::TryAdmit(Sequence& sequence) {
  if (sequence.deferred_on && being_computed_.contains(*sequence.deferred_on)) {
    return scheduler::Admission::kDeferred;
  }
  sequence.deferred_on.reset();
  if (sequence.refused_at_epoch == pool_->release_epoch()) return scheduler::Admission::kNoRoom;

  const int64_t reusable = sequence.request.use_cache ? ReusablePages(sequence) : 0;
  const cache::PrefixMatch match =
      cache::MatchPrefix(sequence.chain, sequence.tokens, reusable, index_, tier_.get());
  const auto matched = static_cast<int64_t>(match.pages.size());
  if (matched < reusable && being_computed_.contains(sequence.chain.key(matched))) {
    sequence.deferred_on = sequence.chain.key(matched);
    return scheduler::Admission::kDeferred;
  }
  if (!PinShared(match, sequence)) {
    sequence.refused_at_epoch = pool_->release_epoch();
    return scheduler::Admission::kNoRoom;
  }
  sequence.refused_at_epoch.reset();
  CountLookup(match, reusable, sequence);
  sequence.computed = sequence.memory_pages * kPageSize;
  sequence.published = sequence.memory_pages;
  StartLoads(match, sequence);
  Claim(sequence);
  return scheduler::Admission::kAdmitted;
}

// Pins the pages in memory and reserves all others, or neither.
bool SequencePages::PinShared(const cache::PrefixMatch& match, Sequence& sequence) {
  const auto in_memory = std::ranges::count(match.pages, cache::PageSource::kMemory,
                                            &cache::PrefixMatch::Page::source);
  // Most refusals end here, before pages are pinned for nothing.
  const cache::PoolCounts counts = pool_->counts();
  if (TotalPages(sequence) - in_memory > counts.free + counts.cached - counts.reserved)
    return false;
  for (const auto& page : match.pages) {
    if (page.source != cache::PageSource::kMemory) break;
    cache::PageHandle pinned = pool_->Pin(page.page);
    if (!pinned.valid()) break;
    sequence.pages.push_back(std::move(pinned));
  }
  sequence.memory_pages = static_cast<int64_t>(sequence.pages.size());
  // Where a page could not be pinned there is no room for a private one either: Reserve refuses.
  auto reservation = pool_->Reserve(TotalPages(sequence) - sequence.memory_pages);
  if (!reservation.ok()) {
    Release(sequence);
    return false;
  }
  sequence.reservation = std::move(*reservation);
  return true;
}

void SequencePages::StartLoads(const cache::PrefixMatch& match, Sequence& sequence) {
  std::vector<cache::PageLoad> loads;
  for (auto page = sequence.memory_pages; page < static_cast<int64_t>(match.pages.size()); ++page) {
    if (match.pages[static_cast<std::size_t>(page)].source != cache::PageSource::kDisk) break;
    sequence.pages.push_back(pool_->Allocate(sequence.reservation));
    loads.push_back({sequence.id, page, sequence.chain.identity(page, sequence.tokens),
                     sequence.pages.back().Share(cache::PageHolder::kTierRead)});
  }
  sequence.first_failed_page = static_cast<int64_t>(sequence.pages.size());
  sequence.loads_outstanding = static_cast<int64_t>(loads.size());
  if (!loads.empty()) tier_->Load(std::move(loads));
}

bool SequencePages::OnLoaded(Sequence& sequence, const cache::LoadedPage& loaded) {
  LECTERN_CHECK(sequence.loads_outstanding > 0);
  --sequence.loads_outstanding;
  if (loaded.outcome != cache::LoadOutcome::kLoaded) {
    sequence.first_failed_page = std::min(sequence.first_failed_page, loaded.page_index);
    if (const auto reason = NameOf(loaded.outcome); !reason.empty()) CountMiss(reason);
  }
  if (sequence.loads_outstanding > 0) return false;
  FinishRestore(sequence);
  return true;
}

void SequencePages::FinishRestore(Sequence& sequence) {
  while (static_cast<int64_t>(sequence.pages.size()) > sequence.first_failed_page) {
    pool_->ReturnTo(sequence.reservation, std::move(sequence.pages.back()));
    sequence.pages.pop_back();
  }
  sequence.restored_pages = sequence.first_failed_page - sequence.memory_pages;
  sequence.computed = sequence.first_failed_page * kPageSize;
  metrics_.Add("lectern_prefix_cache_hits_total",
               static_cast<double>(sequence.restored_pages * kPageSize), {{"tier", "disk"}});
  Publish(sequence);
}

void SequencePages::Grow(Sequence& sequence, int64_t num_tokens) {
  const int64_t wanted = PagesFor(sequence.computed + num_tokens);
  while (static_cast<int64_t>(sequence.pages.size()) < wanted) {
    sequence.pages.push_back(pool_->Allocate(sequence.reservation));
  }
}

void SequencePages::Publish(Sequence& sequence) {
  if (!sequence.request.use_cache) return;
  sequence.chain.Extend(sequence.tokens);
  for (; sequence.published < sequence.computed / kPageSize; ++sequence.published) {
    const int64_t page = sequence.published;
    const cache::PageHandle& handle = sequence.pages[static_cast<std::size_t>(page)];
    const cache::PageIdentity identity = sequence.chain.identity(page, sequence.tokens);
    // Taken: another request published the same page first, or a collision. Ours stays private.
    if (index_.Insert(identity, handle.id())) {
      pool_->Publish(handle.id());
      if (tier_) tier_->Store(identity, handle.Share(cache::PageHolder::kTierWrite));
    }
    Unclaim(sequence, page);
  }
}

void SequencePages::Release(Sequence& sequence) {
  for (int64_t page = 0; page < sequence.claimed; ++page) Unclaim(sequence, page);
  sequence.claimed = 0;
  if (sequence.loads_outstanding > 0) tier_->CancelLoads(sequence.id);
  // The end first: of an unused prompt the end is evicted first, and the rest is still a prefix.
  while (!sequence.pages.empty()) sequence.pages.pop_back();
  sequence.reservation.reset();
}

void SequencePages::Claim(Sequence& sequence) {
  sequence.claimed = sequence.chain.num_pages();
  for (auto page = static_cast<int64_t>(sequence.pages.size()); page < sequence.claimed; ++page) {
    being_computed_.try_emplace(sequence.chain.key(page), sequence.id);
  }
}

void SequencePages::Unclaim(Sequence& sequence, int64_t page) {
  const auto found = being_computed_.find(sequence.chain.key(page));
  if (found != being_computed_.end() && found->second == sequence.id) being_computed_.erase(found);
}

int64_t SequencePages::CountLeaked(
    const std::map<RequestId, std::unique_ptr<Sequence>>& sequences) const {
  std::vector<uint8_t> held(static_cast<std::size_t>(pool_->counts().total), 0);
  for (const auto& [id, sequence] : sequences) {
    for (const cache::PageHandle& page : sequence->pages) {
      held[static_cast<std::size_t>(page.id())] = 1;
    }
  }
  int64_t leaked = pool_->CountUnaccounted(held);
  const bool tier_idle = tier_ == nullptr || tier_->Stats().idle;
  if (tier_idle) leaked += pool_->CountHeldByTiers();
  return leaked;
}

void SequencePages::CountLookup(const cache::PrefixMatch& match, int64_t reusable,
                                const Sequence& sequence) {
  const auto size = static_cast<double>(sequence.size());
  const auto in_memory = static_cast<double>(sequence.memory_pages * kPageSize);
  if (!sequence.request.use_cache) return CountMiss("not_asked");
  metrics_.Add("lectern_prefix_cache_queries_total", size, {{"tier", "device"}});
  metrics_.Add("lectern_prefix_cache_hits_total", in_memory, {{"tier", "device"}});
  if (tier_) {
    metrics_.Add("lectern_prefix_cache_queries_total", size - in_memory, {{"tier", "disk"}});
  }
  if (static_cast<int64_t>(match.pages.size()) < reusable) CountMiss(NameOf(match.miss));
}

void SequencePages::CountMiss(std::string_view reason) {
  metrics_.Add("lectern_cache_miss_reason_total", 1, {{"reason", reason}});
  const std::lock_guard lock(miss_mutex_);
  ++miss_reasons_[std::string(reason)];
}

std::map<std::string, int64_t> SequencePages::miss_reasons() const {
  const std::lock_guard lock(miss_mutex_);
  return {miss_reasons_.begin(), miss_reasons_.end()};
}

}  // namespace lectern::runtime
