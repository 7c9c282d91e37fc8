#include "engine/cache/prefix_match.h"

#include <algorithm>

namespace lectern::cache {
namespace {

MissReason ReasonOf(IndexAnswer answer) {
  switch (answer) {
    case IndexAnswer::kEvicted:
      return MissReason::kEvicted;
    case IndexAnswer::kCollision:
      return MissReason::kCollision;
    case IndexAnswer::kFound:
    case IndexAnswer::kAbsent:
      break;
  }
  return MissReason::kNeverStored;
}

}  // namespace

PrefixMatch MatchPrefix(const PageKeyChain& chain, std::span<const int32_t> tokens,
                        int64_t max_pages, const PrefixIndex& index, const PageTier* tier) {
  PrefixMatch match;
  const int64_t end = std::min(max_pages, chain.num_pages());
  bool on_disk = false;
  for (int64_t page = 0; page < end; ++page) {
    const PageIdentity identity = chain.identity(page, tokens);
    const PrefixIndex::Result in_memory = index.Find(identity);
    if (in_memory.answer == IndexAnswer::kFound && !on_disk) {
      match.pages.push_back({PageSource::kMemory, in_memory.page});
    } else if (in_memory.answer != IndexAnswer::kCollision && tier != nullptr &&
               tier->Contains(identity.key)) {
      match.pages.push_back({PageSource::kDisk, kNoPage});
      on_disk = true;
    } else {
      match.miss = ReasonOf(in_memory.answer);
      return match;
    }
  }
  return match;
}

}  // namespace lectern::cache
