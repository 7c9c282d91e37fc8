#include "services/frontend/document_catalog.h"

#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "engine/base/log.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/frontend/request_checks.h"
#include "services/frontend/resource_names.h"
#include "services/frontend/state_keys.h"

namespace lectern::frontend {
namespace {

constexpr int64_t kTextBytesMax = 1 << 20;

absl::Status CheckDocumentName(const std::string& name) {
  if (!ParseName("documents", name)) return common::InvalidField("name", "must be documents/{id}");
  return absl::OkStatus();
}

bool StartsCharacter(char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }

}  // namespace

DocumentCatalog::DocumentCatalog(documents::DocumentStore& store, state::StateStore& state,
                                 RequestLog& requests, PromptBuilder* prompts,
                                 base::Metrics& metrics, const base::Clock& clock)
    : store_(store),
      state_(state),
      requests_(requests),
      prompts_(prompts),
      metrics_(metrics),
      clock_(clock) {
  if (prompts_ != nullptr) {
    tokenizer_ = base::ToHex(prompts_->tokenizer().Fingerprint()).substr(0, 16);
  }
}

std::string DocumentCatalog::TokensKey(const std::string& document) const {
  return keys::DocumentTokens(tokenizer_, document);
}

void DocumentCatalog::AddTokens(v1::Document& document) const {
  const auto stored = state_.Get(TokensKey(document.name()));
  if (!stored.ok()) return;
  int64_t tokens = 0;
  std::from_chars(stored->data(), stored->data() + stored->size(), tokens);
  document.set_tokens(tokens);
}

absl::StatusOr<v1::StartUploadResponse> DocumentCatalog::StartUpload(
    const v1::StartUploadRequest& request) {
  RETURN_IF_ERROR(CheckStartUpload(request));
  return requests_.OnceAfter<v1::StartUploadRequest, v1::StartUploadResponse>(
      "StartUpload", request, [&] { return store_.StartUpload(request); });
}

absl::StatusOr<v1::QueryUploadResponse> DocumentCatalog::QueryUpload(
    const v1::QueryUploadRequest& request) const {
  if (request.upload_id().empty()) return common::InvalidField("upload_id", "must not be empty");
  return store_.QueryUpload(request.upload_id());
}

absl::Status DocumentCatalog::AppendChunk(const std::string& upload_id,
                                          const v1::UploadRequest::Chunk& chunk) {
  common::FieldViolations violations;
  if (upload_id.empty()) violations.Add("upload_id", "must not be empty");
  if (chunk.offset() < 0) violations.Add("chunk.offset", "must not be negative");
  RETURN_IF_ERROR(violations.ToStatus());
  return store_.AppendChunk(upload_id, chunk);
}

absl::StatusOr<v1::Document> DocumentCatalog::FinishUpload(const std::string& upload_id,
                                                           const v1::UploadRequest::Finish& finish,
                                                           const std::function<bool()>& cancelled) {
  common::FieldViolations violations;
  if (upload_id.empty()) violations.Add("upload_id", "must not be empty");
  if (finish.size() < 0) violations.Add("finish.size", "must not be negative");
  RETURN_IF_ERROR(violations.ToStatus());
  const auto begin = clock_.Now();
  ASSIGN_OR_RETURN(v1::Document document, store_.FinishUpload(upload_id, finish, cancelled));
  metrics_.Add("lectern_documents_ingested_total", 1, {});
  if (prompts_ != nullptr) {
    // The document is safe already; a count that fails is a count that is missing.
    const absl::StatusOr<int64_t> tokens = prompts_->CountTokens(document.name());
    if (tokens.ok()) {
      const absl::Status stored = state_.Write(
          {{TokensKey(document.name()), absl::StrCat(*tokens)}}, state::Durability::kLogged);
      if (!stored.ok()) {
        base::Log(base::LogLevel::kWarning, "documents", base::ToStd(stored.message()));
      }
      document.set_tokens(*tokens);
    }
  }
  metrics_.Observe("lectern_ingest_seconds", base::Seconds(clock_.Now() - begin), {});
  return document;
}

absl::StatusOr<v1::Document> DocumentCatalog::Get(const std::string& name) const {
  RETURN_IF_ERROR(CheckDocumentName(name));
  ASSIGN_OR_RETURN(v1::Document document, store_.Get(name));
  AddTokens(document);
  return document;
}

absl::StatusOr<v1::ListDocumentsResponse> DocumentCatalog::List(
    const v1::ListDocumentsRequest& request) const {
  RETURN_IF_ERROR(CheckPageSize(request.page_size()));
  ASSIGN_OR_RETURN(v1::ListDocumentsResponse response, store_.List(request));
  for (v1::Document& document : *response.mutable_documents()) AddTokens(document);
  return response;
}

absl::Status DocumentCatalog::Delete(const v1::DeleteDocumentRequest& request) {
  common::FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  RETURN_IF_ERROR(CheckDocumentName(request.name()));
  return requests_
      .OnceAfter<v1::DeleteDocumentRequest, google::protobuf::Empty>(
          "DeleteDocument", request,
          [&]() -> absl::StatusOr<google::protobuf::Empty> {
            RETURN_IF_ERROR(store_.Delete(request.name()));
            return google::protobuf::Empty();
          })
      .status();
}

absl::StatusOr<DocumentCatalog::TextRange> DocumentCatalog::OpenText(
    const v1::GetDocumentTextRequest& request) const {
  RETURN_IF_ERROR(CheckDocumentName(request.name()));
  TextRange range;
  ASSIGN_OR_RETURN(range.document, store_.Load(request.name()));
  const std::string& text = range.document->text;
  const auto size = static_cast<int64_t>(text.size());
  range.begin = request.byte_begin();
  range.end = request.byte_end() == 0 ? size : request.byte_end();
  const auto good = [&](int64_t at) {
    return at >= 0 && at <= size && (at == size || StartsCharacter(text[static_cast<size_t>(at)]));
  };
  common::FieldViolations violations;
  const std::string rule = absl::StrCat("must be the offset of a character, from 0 to ", size);
  if (!good(range.begin)) violations.Add("byte_begin", rule);
  if (!good(range.end) || range.end < range.begin) violations.Add("byte_end", rule);
  RETURN_IF_ERROR(violations.ToStatus());
  return range;
}

v1::DocumentText NextText(DocumentCatalog::TextRange& range, bool first) {
  const std::string& text = range.document->text;
  int64_t end = std::min(range.end, range.begin + kTextBytesMax);
  while (end < range.end && !StartsCharacter(text[static_cast<size_t>(end)])) --end;
  v1::DocumentText piece;
  piece.set_byte_begin(range.begin);
  piece.set_text(
      text.substr(static_cast<size_t>(range.begin), static_cast<size_t>(end - range.begin)));
  if (first) {
    for (const int64_t begin : range.document->page_begins) piece.add_page_begins(begin);
  }
  range.begin = end;
  return piece;
}

}  // namespace lectern::frontend
