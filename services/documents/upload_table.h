#pragma once
// Resumable uploads: chunks in the state store until they become a document.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "lectern/stored/v1/documents.pb.h"
#include "services/documents/document_store.h"
#include "services/state/state_store.h"

namespace lectern::documents {

// Thread safe. Methods as DocumentStore documents them.
class UploadTable {
 private:
  struct Entry;

 public:
  // Reads what is there and drops what has expired.
  static absl::StatusOr<std::unique_ptr<UploadTable>> Create(state::StateStore& state,
                                                             const base::Clock& clock,
                                                             const DocumentStoreOptions& options);

  absl::StatusOr<v1::StartUploadResponse> Start(const v1::StartUploadRequest& request);
  absl::Status Append(const std::string& upload_id, const v1::UploadRequest::Chunk& chunk);
  absl::StatusOr<v1::QueryUploadResponse> Query(const std::string& upload_id) const;

  // An upload that nobody else can change while this exists.
  class Claim {
   public:
    const stored::v1::Upload& record() const;
    // The whole source. FailedPrecondition: chunks are missing. InvalidArgument: the sizes
    // contradict each other. DataLoss: the SHA-256 is another. Cancelled.
    absl::StatusOr<std::string> ReadSource(const v1::UploadRequest::Finish& finish,
                                           const std::function<bool()>& cancelled) const;
    // What ends the upload with `document`, for the caller's write; the chunks go.
    absl::StatusOr<std::vector<state::Mutation>> End(const std::string& document) const;
    // After that write.
    void Ended(const std::string& document);
    // Ends it with an error: these bytes never become a document, and every later Finish gets the
    // same answer. Returns `error`, or what went wrong with noting it.
    absl::Status Refuse(const absl::Status& error);

   private:
    friend class UploadTable;
    Claim(UploadTable& table, std::string id, std::shared_ptr<Entry> entry);
    absl::StatusOr<std::vector<state::Mutation>> Replace(const stored::v1::Upload& ended) const;
    void Replaced(stored::v1::Upload ended);
    stored::v1::Upload EndedRecord() const;
    UploadTable* table_;
    std::string id_;
    std::shared_ptr<Entry> entry_;
    std::unique_lock<std::timed_mutex> lock_;
  };
  // Waits for whoever holds it. NotFound. Cancelled.
  absl::StatusOr<Claim> ClaimUpload(const std::string& upload_id,
                                    const std::function<bool()>& cancelled);

 private:
  struct Entry {
    std::timed_mutex busy;    // held for a chunk's write and for the whole of a finish
    std::mutex record_mutex;  // guards `record`, for readers that must not wait for `busy`
    stored::v1::Upload record;
  };

  UploadTable(state::StateStore& state, const base::Clock& clock,
              const DocumentStoreOptions& options)
      : state_(state), clock_(clock), options_(options) {}

  absl::Status Load();
  // Drops expired uploads, at most once an hour. Uploads that are busy wait for the next time.
  absl::Status Sweep();
  absl::Status Remove(const std::string& upload_id);
  absl::StatusOr<std::shared_ptr<Entry>> Find(const std::string& upload_id) const;
  absl::Status CheckStart(const v1::StartUploadRequest& request) const;
  absl::Status AppendLocked(const std::string& upload_id, Entry& entry,
                            const v1::UploadRequest::Chunk& chunk);
  // Whether the stored bytes at `offset` are `data`.
  absl::StatusOr<bool> StoredEquals(const std::string& upload_id, int64_t offset,
                                    const std::string& data) const;
  absl::Status ReserveBytes(int64_t bytes);
  void ReleaseBytes(int64_t bytes);

  state::StateStore& state_;
  const base::Clock& clock_;
  const DocumentStoreOptions options_;

  std::mutex start_mutex_;
  mutable std::mutex mutex_;  // guards what follows; never held over a write to the state store
  std::map<std::string, std::shared_ptr<Entry>> uploads_;
  std::map<std::string, std::string> by_request_;  // request_id -> upload id
  int64_t pending_bytes_ = 0;
  int64_t next_sweep_s_ = 0;
};

}  // namespace lectern::documents
