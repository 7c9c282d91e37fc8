#pragma once
// Which published page of the pool holds which text. A radix tree over pages written as a hash
// chain: a page's key names its parent, so a walk from the root is one look-up a page.
//
// Thread safe; one mutex. The loop inserts and erases, any thread may look.

#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "engine/cache/block_pool.h"
#include "engine/cache/page_key.h"

namespace lectern::cache {

enum class IndexAnswer {
  kFound,
  kAbsent,     // never there, as far as is remembered
  kEvicted,    // was there; memory was needed
  kCollision,  // the key is there with another text: never served
};

class PrefixIndex {
 public:
  struct Result {
    IndexAnswer answer = IndexAnswer::kAbsent;
    PageId page = kNoPage;
  };

  // Compares parent and token ids with what is stored under the key.
  Result Find(const PageIdentity& identity) const;
  // False where the key is taken: the caller keeps its page to itself.
  bool Insert(const PageIdentity& identity, PageId page);
  // Forgets an evicted page. Unknown pages are ignored.
  void Erase(PageId page);

  int64_t size() const;

 private:
  struct Entry {
    PageId page = kNoPage;
    PageKey parent;
    PageTokens tokens{};
  };
  void RememberEvictedLocked(const PageKey& key);

  mutable std::mutex mutex_;  // guards everything below
  std::unordered_map<PageKey, Entry, PageKeyHash> entries_;
  std::unordered_map<PageId, PageKey> key_of_page_;
  // The last evicted keys, to tell "evicted" from "never stored"; bounded.
  std::unordered_set<PageKey, PageKeyHash> evicted_;
  std::deque<PageKey> evicted_order_;
};

}  // namespace lectern::cache
