#pragma once
// Documents in memory, made of given paragraphs; no upload.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/documents/document_store.h"

namespace lectern::testing {

// Thread safe.
class FakeDocuments final : public documents::DocumentStore {
 public:
  // The text is the paragraphs, a blank line between them. Returns the name.
  std::string Put(const std::string& id, const std::vector<std::string>& paragraphs);

  absl::StatusOr<v1::StartUploadResponse> StartUpload(const v1::StartUploadRequest&) override;
  absl::Status AppendChunk(const std::string&, const v1::UploadRequest::Chunk&) override;
  absl::StatusOr<v1::QueryUploadResponse> QueryUpload(const std::string&) const override;
  absl::StatusOr<v1::Document> FinishUpload(const std::string&, const v1::UploadRequest::Finish&,
                                            const std::function<bool()>&) override;
  absl::StatusOr<v1::Document> Get(const std::string& name) const override;
  absl::StatusOr<v1::ListDocumentsResponse> List(const v1::ListDocumentsRequest&) const override;
  absl::Status Delete(const std::string& name) override;
  absl::StatusOr<std::shared_ptr<const documents::ParsedDocument>> Load(
      const std::string& name) const override;
  int64_t Count() const override;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const documents::ParsedDocument>> documents_;
};

}  // namespace lectern::testing
