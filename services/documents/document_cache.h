#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "services/documents/document_store.h"

namespace lectern::documents {

// The most recently used parsed documents, within a bound on their bytes. Thread safe.
class DocumentCache {
 public:
  explicit DocumentCache(int64_t bytes_max) : bytes_max_(bytes_max) {}

  // Null where it is not there.
  std::shared_ptr<const ParsedDocument> Get(const std::string& id);
  // Changes with every Erase: what was read before one must not be put in after it.
  int64_t erasures() const;
  // `erasures` as it was before the document was read. Even one that is beyond the bound stays
  // until the next comes.
  void Put(const std::string& id, std::shared_ptr<const ParsedDocument> document, int64_t erasures);
  void Erase(const std::string& id);

 private:
  struct Entry {
    std::string id;
    std::shared_ptr<const ParsedDocument> document;
    int64_t bytes = 0;
  };
  void EraseLocked(const std::string& id);

  const int64_t bytes_max_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
  int64_t bytes_ = 0;
  int64_t erasures_ = 0;
};

}  // namespace lectern::documents
