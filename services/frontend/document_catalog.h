#pragma once
// Documents as clients see them: the store's, with their token counts, under request_id.

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "lectern/v1/services.pb.h"
#include "services/documents/document_store.h"
#include "services/frontend/prompt_builder.h"
#include "services/frontend/request_log.h"
#include "services/state/state_store.h"

namespace lectern::frontend {

// Thread safe. Calls block for the disk, an extraction or a tokenizer: not for RPC threads.
class DocumentCatalog {
 public:
  // `prompts` may be null (no model): documents then show the token counts that are stored.
  // Everything outlives it.
  DocumentCatalog(documents::DocumentStore& store, state::StateStore& state, RequestLog& requests,
                  PromptBuilder* prompts, base::Metrics& metrics, const base::Clock& clock);

  absl::StatusOr<v1::StartUploadResponse> StartUpload(const v1::StartUploadRequest& request);
  absl::StatusOr<v1::QueryUploadResponse> QueryUpload(const v1::QueryUploadRequest& request) const;
  absl::Status AppendChunk(const std::string& upload_id, const v1::UploadRequest::Chunk& chunk);
  absl::StatusOr<v1::Document> FinishUpload(const std::string& upload_id,
                                            const v1::UploadRequest::Finish& finish,
                                            const std::function<bool()>& cancelled);
  absl::StatusOr<v1::Document> Get(const std::string& name) const;
  absl::StatusOr<v1::ListDocumentsResponse> List(const v1::ListDocumentsRequest& request) const;
  absl::Status Delete(const v1::DeleteDocumentRequest& request);
  // The text of [byte_begin, byte_end), checked against the document; byte_end 0: to the end.
  struct TextRange {
    std::shared_ptr<const documents::ParsedDocument> document;
    int64_t begin = 0;
    int64_t end = 0;
  };
  absl::StatusOr<TextRange> OpenText(const v1::GetDocumentTextRequest& request) const;
  int64_t Count() const { return store_.Count(); }

 private:
  std::string TokensKey(const std::string& document) const;
  void AddTokens(v1::Document& document) const;

  documents::DocumentStore& store_;
  state::StateStore& state_;
  RequestLog& requests_;
  PromptBuilder* prompts_;
  base::Metrics& metrics_;
  const base::Clock& clock_;
  std::string tokenizer_;  // names the tokenizer in keys
};

// The next piece of a text range, at most 1 MiB, cut between characters; advances range.begin.
v1::DocumentText NextText(DocumentCatalog::TextRange& range, bool first);

}  // namespace lectern::frontend
