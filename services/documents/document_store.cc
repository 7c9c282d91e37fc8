#include "services/documents/document_store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/documents/document_keys.h"
#include "services/documents/document_table.h"
#include "services/documents/mime_type.h"
#include "services/documents/upload_table.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

class StoredDocuments final : public DocumentStore {
 public:
  StoredDocuments(std::unique_ptr<UploadTable> uploads, std::unique_ptr<DocumentTable> documents,
                  const base::Clock& clock, DocumentStoreOptions options)
      : uploads_(std::move(uploads)),
        documents_(std::move(documents)),
        clock_(clock),
        options_(std::move(options)) {}

  absl::StatusOr<v1::StartUploadResponse> StartUpload(
      const v1::StartUploadRequest& request) override {
    return uploads_->Start(request);
  }
  absl::Status AppendChunk(const std::string& upload_id,
                           const v1::UploadRequest::Chunk& chunk) override {
    return uploads_->Append(upload_id, chunk);
  }
  absl::StatusOr<v1::QueryUploadResponse> QueryUpload(const std::string& upload_id) const override {
    return uploads_->Query(upload_id);
  }
  absl::StatusOr<v1::Document> FinishUpload(const std::string& upload_id,
                                            const v1::UploadRequest::Finish& finish,
                                            const std::function<bool()>& cancelled) override;

  absl::StatusOr<v1::Document> Get(const std::string& name) const override {
    return documents_->Get(name);
  }
  absl::StatusOr<v1::ListDocumentsResponse> List(
      const v1::ListDocumentsRequest& request) const override {
    return documents_->List(request);
  }
  absl::Status Delete(const std::string& name) override { return documents_->Delete(name); }
  absl::StatusOr<std::shared_ptr<const ParsedDocument>> Load(
      const std::string& name) const override {
    return documents_->Load(name);
  }
  int64_t Count() const override { return documents_->Count(); }

 private:
  // The document that `source` becomes, by itself: stored nowhere yet.
  absl::StatusOr<ParsedDocument> Parse(std::string_view source,
                                       const v1::StartUploadRequest& request,
                                       const std::string& mime_type, const std::string& sha256,
                                       const std::function<bool()>& cancelled) const;

  std::unique_ptr<UploadTable> uploads_;
  std::unique_ptr<DocumentTable> documents_;
  const base::Clock& clock_;
  const DocumentStoreOptions options_;
};

absl::StatusOr<ParsedDocument> StoredDocuments::Parse(
    std::string_view source, const v1::StartUploadRequest& request, const std::string& mime_type,
    const std::string& sha256, const std::function<bool()>& cancelled) const {
  ASSIGN_OR_RETURN(ExtractedText extracted,
                   ExtractText(source, mime_type, request.display_name(), options_, cancelled));
  ParsedDocument document;
  document.text = std::move(extracted.text);
  document.page_begins = std::move(extracted.page_begins);
  document.paragraphs = SplitParagraphs(document.text, document.page_begins);
  v1::Document& resource = document.resource;
  resource.set_name(DocumentName(MakeDocumentId(sha256, mime_type)));
  resource.set_display_name(request.display_name());
  resource.set_mime_type(mime_type);
  resource.set_source_bytes(static_cast<int64_t>(source.size()));
  resource.set_source_sha256(sha256);
  resource.set_text_bytes(static_cast<int64_t>(document.text.size()));
  resource.set_pages(static_cast<int32_t>(document.page_begins.size()));
  resource.set_paragraphs(static_cast<int32_t>(document.paragraphs.size()));
  const auto now = clock_.WallNow();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  resource.mutable_create_time()->set_seconds(seconds.count());
  resource.mutable_create_time()->set_nanos(static_cast<int32_t>((now - seconds).count()));
  if (cancelled && cancelled()) return absl::CancelledError("finishing the upload was cancelled");
  return document;
}

absl::StatusOr<v1::Document> StoredDocuments::FinishUpload(const std::string& upload_id,
                                                           const v1::UploadRequest::Finish& finish,
                                                           const std::function<bool()>& cancelled) {
  ASSIGN_OR_RETURN(UploadTable::Claim upload, uploads_->ClaimUpload(upload_id, cancelled));
  if (upload.record().has_error()) return common::FromRpcStatus(upload.record().error());
  if (!upload.record().document().empty()) return documents_->Get(upload.record().document());
  ASSIGN_OR_RETURN(const std::string source, upload.ReadSource(finish, cancelled));

  const v1::StartUploadRequest& request = upload.record().request();
  ASSIGN_OR_RETURN(std::string mime_type, CanonicalMimeType(request.mime_type()));
  if (mime_type.empty()) mime_type = GuessMimeType(source, request.display_name());
  const std::string sha256 = AsciiToLower(finish.sha256());  // ReadSource has compared it
  const std::string name = DocumentName(MakeDocumentId(sha256, mime_type));
  ASSIGN_OR_RETURN(auto end_of_upload, upload.End(name));

  // Equal bytes need no second extraction. A race between two of them is settled by Put.
  absl::StatusOr<v1::Document> stored = documents_->Join(name, end_of_upload);
  if (stored.status().code() == absl::StatusCode::kNotFound) {
    const auto document = Parse(source, request, mime_type, sha256, cancelled);
    if (document.status().code() == absl::StatusCode::kInvalidArgument) {
      return upload.Refuse(document.status());
    }
    if (!document.ok()) return document.status();
    stored = documents_->Put(*document, std::move(end_of_upload));
  }
  if (stored.ok()) upload.Ended(name);
  return stored;
}

}  // namespace

int ParsedDocument::PageOf(int64_t byte) const {
  const auto next = std::upper_bound(page_begins.begin(), page_begins.end(), byte);
  return static_cast<int>(next - page_begins.begin());
}

absl::StatusOr<std::unique_ptr<DocumentStore>> DocumentStore::Create(
    state::StateStore& state, const base::Clock& clock, const DocumentStoreOptions& options) {
  ASSIGN_OR_RETURN(auto uploads, UploadTable::Create(state, clock, options));
  ASSIGN_OR_RETURN(auto documents, DocumentTable::Create(state, options));
  return std::make_unique<StoredDocuments>(std::move(uploads), std::move(documents), clock,
                                           options);
}

}  // namespace lectern::documents
