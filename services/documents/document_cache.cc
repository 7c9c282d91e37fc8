#include "services/documents/document_cache.h"

#include <utility>

namespace lectern::documents {
namespace {

int64_t BytesOf(const ParsedDocument& document) {
  size_t bytes =
      sizeof(document) + document.text.size() + document.page_begins.size() * sizeof(int64_t);
  for (const Paragraph& paragraph : document.paragraphs) {
    bytes += sizeof(paragraph) + paragraph.normalized.capacity() +
             paragraph.byte_map.capacity() * sizeof(int32_t);
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace

std::shared_ptr<const ParsedDocument> DocumentCache::Get(const std::string& id) {
  std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->document;
}

int64_t DocumentCache::erasures() const {
  std::lock_guard lock(mutex_);
  return erasures_;
}

void DocumentCache::Put(const std::string& id, std::shared_ptr<const ParsedDocument> document,
                        int64_t erasures) {
  const int64_t bytes = BytesOf(*document);
  std::lock_guard lock(mutex_);
  if (erasures != erasures_) return;
  EraseLocked(id);
  entries_.push_front({id, std::move(document), bytes});
  by_id_[id] = entries_.begin();
  bytes_ += bytes;
  while (bytes_ > bytes_max_ && entries_.size() > 1) EraseLocked(std::string(entries_.back().id));
}

void DocumentCache::Erase(const std::string& id) {
  std::lock_guard lock(mutex_);
  ++erasures_;
  EraseLocked(id);
}

void DocumentCache::EraseLocked(const std::string& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  bytes_ -= found->second->bytes;
  entries_.erase(found->second);
  by_id_.erase(found);
}

}  // namespace lectern::documents
