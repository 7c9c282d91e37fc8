#pragma once
// Where the leading pages of a prompt can be had: a run of pages in memory, then a run on disk.
//
// Behind the first page from disk nothing is taken from memory, even where it is there: if a read
// fails, everything behind the failed page is given back and recomputed in the same place, and a
// shared page cannot be given back for a private one without more pages than were reserved. Memory
// evicts the ends of prompts first, so such pages are rare, and disk has them too.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache/page_key.h"
#include "engine/cache/page_tier.h"
#include "engine/cache/prefix_index.h"

namespace lectern::cache {

enum class PageSource : uint8_t { kMemory, kDisk };

// Why the first page that is not cached is not.
enum class MissReason {
  kNone,         // everything that may be reused is there
  kNeverStored,  // as far as is remembered
  kEvicted,
  kCollision,
};

struct PrefixMatch {
  struct Page {
    PageSource source = PageSource::kMemory;
    PageId page = kNoPage;  // with kMemory
  };
  std::vector<Page> pages;
  MissReason miss = MissReason::kNone;
};

// Pages of a prompt of `num_tokens` that a hit may cover: whole ones, and at least one token is
// left to compute, since its row gives the first logits.
inline int64_t ReusablePages(int64_t num_tokens) {
  return num_tokens < 1 ? 0 : (num_tokens - 1) / kPageSize;
}

// `tokens`: the sequence that `chain` was extended with. Looks at no more than `max_pages` pages.
// `tier` may be null. No side effects.
PrefixMatch MatchPrefix(const PageKeyChain& chain, std::span<const int32_t> tokens,
                        int64_t max_pages, const PrefixIndex& index, const PageTier* tier);

}  // namespace lectern::cache
