#include "engine/cache/prefix_index.h"

namespace lectern::cache {
namespace {

constexpr std::size_t kEvictedKeysRemembered = 65536;  // 6 MB at most

}  // namespace

PrefixIndex::Result PrefixIndex::Find(const PageIdentity& identity) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(identity.key);
  if (found == entries_.end()) {
    return {evicted_.contains(identity.key) ? IndexAnswer::kEvicted : IndexAnswer::kAbsent,
            kNoPage};
  }
  const Entry& entry = found->second;
  if (entry.parent != identity.parent || entry.tokens != identity.tokens) {
    return {IndexAnswer::kCollision, kNoPage};
  }
  return {IndexAnswer::kFound, entry.page};
}

bool PrefixIndex::Insert(const PageIdentity& identity, PageId page) {
  const std::lock_guard lock(mutex_);
  const auto [entry, inserted] =
      entries_.try_emplace(identity.key, Entry{page, identity.parent, identity.tokens});
  if (inserted) key_of_page_[page] = identity.key;
  return inserted;
}

void PrefixIndex::Erase(PageId page) {
  const std::lock_guard lock(mutex_);
  const auto found = key_of_page_.find(page);
  if (found == key_of_page_.end()) return;
  entries_.erase(found->second);
  RememberEvictedLocked(found->second);
  key_of_page_.erase(found);
}

int64_t PrefixIndex::size() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(entries_.size());
}

void PrefixIndex::RememberEvictedLocked(const PageKey& key) {
  if (!evicted_.insert(key).second) return;
  evicted_order_.push_back(key);
  if (evicted_order_.size() <= kEvictedKeysRemembered) return;
  evicted_.erase(evicted_order_.front());
  evicted_order_.pop_front();
}

}  // namespace lectern::cache
