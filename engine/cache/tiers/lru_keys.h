#pragma once
// The keys of a store with their sizes, in order of last use. Not thread safe.

#include <cstdint>
#include <iterator>
#include <list>
#include <unordered_map>

#include "engine/cache/page_key.h"

namespace lectern::cache {

class LruKeys {
 public:
  bool Contains(const PageKey& key) const { return entries_.contains(key); }
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  int64_t bytes() const { return bytes_; }
  const PageKey& oldest() const { return order_.front(); }

  // As the newest; a known key is only touched.
  void Insert(const PageKey& key, int64_t bytes) {
    if (Touch(key)) return;
    order_.push_back(key);
    entries_[key] = {bytes, std::prev(order_.end())};
    bytes_ += bytes;
  }

  bool Touch(const PageKey& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return false;
    order_.splice(order_.end(), order_, found->second.place);
    return true;
  }

  bool Erase(const PageKey& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return false;
    bytes_ -= found->second.bytes;
    order_.erase(found->second.place);
    entries_.erase(found);
    return true;
  }

 private:
  struct Entry {
    int64_t bytes = 0;
    std::list<PageKey>::iterator place;
  };
  std::list<PageKey> order_;  // oldest first
  std::unordered_map<PageKey, Entry, PageKeyHash> entries_;
  int64_t bytes_ = 0;
};

}  // namespace lectern::cache
