#pragma once
// The pages of sequences: found, reserved, restored, grown, published, given back. Joins the pool,
// the index and the disk tier; used by the loop thread alone, but for CachedTokens.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/metrics.h"
#include "engine/cache/block_pool.h"
#include "engine/cache/page_key.h"
#include "engine/cache/page_tier.h"
#include "engine/cache/prefix_index.h"
#include "engine/cache/prefix_match.h"
#include "engine/runtime/sequence.h"
#include "engine/scheduler/waiting_queue.h"

namespace lectern::runtime {

class SequencePages {
 public:
  // `tier` may be null. `name_space` and `hash` make the keys (engine/cache/page_key.h).
  SequencePages(std::unique_ptr<cache::BlockPool> pool, std::unique_ptr<cache::PageTier> tier,
                const cache::PageKey& name_space, cache::PageHash hash, base::Metrics& metrics);

  // Keys of the whole pages of `tokens`. Any thread.
  cache::PageKeyChain KeysOf(std::span<const int32_t> tokens, std::string_view salt) const;
  // Leading tokens of a prompt that a tier holds now. Any thread; no side effects.
  int64_t CachedTokens(std::span<const int32_t> prompt, std::string_view salt) const;

  // Takes what is cached, reserves the rest and starts loads. After kAdmitted the sequence computes
  // at once, or after its last load where loads_outstanding > 0. Deferred: another running request
  // is about to compute the next page, which will then be shared.
  scheduler::Admission TryAdmit(Sequence& sequence);
  // One load of the sequence is over. True: it was the last; `computed` says what was restored. A
  // page that failed, and all behind it, will be computed.
  bool OnLoaded(Sequence& sequence, const cache::LoadedPage& loaded);

  // Pages for `num_tokens` tokens more than are computed. What was reserved suffices.
  void Grow(Sequence& sequence, int64_t num_tokens);
  // Offers every page that is full and computed to the index and the tier.
  void Publish(Sequence& sequence);
  // Gives everything back and cancels loads; in any state.
  void Release(Sequence& sequence);

  // Evicts every page that nobody holds. Returns how many.
  int64_t DropMemory();
  // Pages that nobody known holds: `sequences` are all that live. 0, or there is a leak.
  int64_t CountLeaked(const std::map<RequestId, std::unique_ptr<Sequence>>& sequences) const;

  std::map<std::string, int64_t> miss_reasons() const;  // any thread
  const cache::BlockPool& pool() const { return *pool_; }
  cache::PageTier* tier() const { return tier_.get(); }

 private:
  int64_t ReusablePages(const Sequence& sequence) const;
  bool PinShared(const cache::PrefixMatch& match, Sequence& sequence);
  void StartLoads(const cache::PrefixMatch& match, Sequence& sequence);
  void FinishRestore(Sequence& sequence);
  void Claim(Sequence& sequence);
  void Unclaim(Sequence& sequence, int64_t page);
  void CountLookup(const cache::PrefixMatch& match, int64_t reusable, const Sequence& sequence);
  void CountMiss(std::string_view reason);

  const cache::PageKey name_space_;
  const cache::PageHash hash_;
  base::Metrics& metrics_;
  cache::PrefixIndex index_;
  const std::unique_ptr<cache::BlockPool> pool_;
  // Destroyed before the pool: releases its handles.
  const std::unique_ptr<cache::PageTier> tier_;
  // Prompt pages that a running request is about to compute, by who does.
  std::unordered_map<cache::PageKey, RequestId, cache::PageKeyHash> being_computed_;

  std::string_view eviction_reason_ = "room";

  mutable std::mutex miss_mutex_;
  std::map<std::string, int64_t, std::less<>> miss_reasons_;  // guarded by miss_mutex_
};

}  // namespace lectern::runtime
