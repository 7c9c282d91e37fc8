#pragma once
// Finished documents in the state store.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/documents/document_cache.h"
#include "services/documents/document_store.h"
#include "services/state/state_store.h"

namespace lectern::documents {

// Thread safe. Methods as DocumentStore documents them.
class DocumentTable {
 public:
  static absl::StatusOr<std::unique_ptr<DocumentTable>> Create(state::StateStore& state,
                                                               const DocumentStoreOptions& options);

  // Stores the document and `others` in one synced write. Where its id is taken, the document that
  // has it wins and only `others` are written. Returns what is stored.
  absl::StatusOr<v1::Document> Put(const ParsedDocument& document,
                                   std::vector<state::Mutation> others);
  // Writes `others` where the document exists. NotFound.
  absl::StatusOr<v1::Document> Join(const std::string& name,
                                    const std::vector<state::Mutation>& others);
  absl::StatusOr<v1::Document> Get(const std::string& name) const;
  absl::StatusOr<v1::ListDocumentsResponse> List(const v1::ListDocumentsRequest& request) const;
  absl::Status Delete(const std::string& name);
  absl::StatusOr<std::shared_ptr<const ParsedDocument>> Load(const std::string& name) const;
  int64_t Count() const { return count_; }

 private:
  DocumentTable(state::StateStore& state, const DocumentStoreOptions& options)
      : state_(state), cache_(options.cache_bytes_max) {}
  absl::StatusOr<v1::Document> JoinLocked(const std::string& id,
                                          const std::vector<state::Mutation>& others);
  absl::StatusOr<ParsedDocument> Read(const std::string& id) const;

  state::StateStore& state_;
  mutable DocumentCache cache_;
  std::mutex write_mutex_;  // existence is looked up and changed as one
  std::atomic<int64_t> count_ = 0;
};

}  // namespace lectern::documents
