#include "services/documents/document_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "lectern/stored/v1/documents.pb.h"
#include "services/common/error_details.h"
#include "services/documents/document_keys.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

constexpr size_t kTextPieceBytes = 1 << 20;
constexpr int kPageSizeDefault = 50;
constexpr int kPageSizeMax = 1000;

absl::Status Damaged(std::string_view id) {
  return absl::DataLossError(absl::StrCat("the stored document ", base::ToAbsl(id), " is damaged"));
}

absl::StatusOr<stored::v1::Document> ParseRecord(std::string_view id, std::string_view value) {
  stored::v1::Document record;
  if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) return Damaged(id);
  return record;
}

absl::StatusOr<stored::v1::Document> GetRecord(const state::StateStore& state,
                                               const std::string& id) {
  absl::StatusOr<std::string> value = state.Get(DocumentKey(id));
  if (value.status().code() == absl::StatusCode::kNotFound) {
    return common::ResourceNotFound(DocumentName(id));
  }
  if (!value.ok()) return value.status();
  return ParseRecord(id, *value);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DocumentTable>> DocumentTable::Create(
    state::StateStore& state, const DocumentStoreOptions& options) {
  std::unique_ptr<DocumentTable> table(new DocumentTable(state, options));
  RETURN_IF_ERROR(state.Scan(kDocumentPrefix, state::PrefixEnd(kDocumentPrefix),
                             [&](std::string_view, std::string_view) {
                               ++table->count_;
                               return true;
                             }));
  return table;
}

absl::StatusOr<v1::Document> DocumentTable::JoinLocked(const std::string& id,
                                                       const std::vector<state::Mutation>& others) {
  ASSIGN_OR_RETURN(const stored::v1::Document record, GetRecord(state_, id));
  RETURN_IF_ERROR(state_.Write(others, state::Durability::kSynced));
  return record.resource();
}

absl::StatusOr<v1::Document> DocumentTable::Join(const std::string& name,
                                                 const std::vector<state::Mutation>& others) {
  ASSIGN_OR_RETURN(const std::string id, DocumentIdOf(name));
  std::lock_guard lock(write_mutex_);
  return JoinLocked(id, others);
}

absl::StatusOr<v1::Document> DocumentTable::Put(const ParsedDocument& document,
                                                std::vector<state::Mutation> others) {
  ASSIGN_OR_RETURN(const std::string id, DocumentIdOf(document.resource.name()));
  std::lock_guard lock(write_mutex_);
  absl::StatusOr<v1::Document> existing = JoinLocked(id, others);
  if (existing.status().code() != absl::StatusCode::kNotFound) return existing;

  stored::v1::Document record;
  *record.mutable_resource() = document.resource;
  record.mutable_page_begins()->Add(document.page_begins.begin(), document.page_begins.end());
  std::string_view rest = document.text;
  int32_t pieces = 0;
  while (!rest.empty()) {
    const size_t size = CharacterBorderAtOrBefore(rest, kTextPieceBytes);
    others.push_back({TextKey(id, pieces++), std::string(rest.substr(0, size))});
    rest.remove_prefix(size);
  }
  record.set_text_pieces(pieces);
  others.push_back({DocumentKey(id), record.SerializeAsString()});
  RETURN_IF_ERROR(state_.Write(others, state::Durability::kSynced));
  ++count_;
  return document.resource;
}

absl::StatusOr<v1::Document> DocumentTable::Get(const std::string& name) const {
  ASSIGN_OR_RETURN(const std::string id, DocumentIdOf(name));
  ASSIGN_OR_RETURN(const stored::v1::Document record, GetRecord(state_, id));
  return record.resource();
}

absl::StatusOr<v1::ListDocumentsResponse> DocumentTable::List(
    const v1::ListDocumentsRequest& request) const {
  if (request.page_size() < 0) return common::InvalidField("page_size", "negative");
  if (!request.page_token().empty() && !IsDocumentId(request.page_token())) {
    return common::InvalidField("page_token", "not a token of this service");
  }
  const int page_size =
      request.page_size() == 0 ? kPageSizeDefault : std::min(request.page_size(), kPageSizeMax);
  v1::ListDocumentsResponse response;
  absl::Status damaged;
  // The token is the first id of the next page: stable when documents come and go in between.
  RETURN_IF_ERROR(state_.Scan(DocumentKey(request.page_token()), state::PrefixEnd(kDocumentPrefix),
                              [&](std::string_view key, std::string_view value) {
                                const std::string id(key.substr(kDocumentPrefix.size()));
                                if (response.documents_size() == page_size) {
                                  response.set_next_page_token(id);
                                  return false;
                                }
                                auto record = ParseRecord(id, value);
                                if (!record.ok()) {
                                  damaged = record.status();
                                  return false;
                                }
                                *response.add_documents() = std::move(*record->mutable_resource());
                                return true;
                              }));
  RETURN_IF_ERROR(damaged);
  return response;
}

absl::Status DocumentTable::Delete(const std::string& name) {
  ASSIGN_OR_RETURN(const std::string id, DocumentIdOf(name));
  std::lock_guard lock(write_mutex_);
  ASSIGN_OR_RETURN(const stored::v1::Document record, GetRecord(state_, id));
  std::vector<state::Mutation> mutations = {{DocumentKey(id), std::nullopt}};
  for (int32_t piece = 0; piece < record.text_pieces(); ++piece) {
    mutations.push_back({TextKey(id, piece), std::nullopt});
  }
  RETURN_IF_ERROR(state_.Write(mutations, state::Durability::kSynced));
  --count_;
  cache_.Erase(id);
  return absl::OkStatus();
}

absl::StatusOr<ParsedDocument> DocumentTable::Read(const std::string& id) const {
  ASSIGN_OR_RETURN(stored::v1::Document record, GetRecord(state_, id));
  ParsedDocument document;
  document.resource = std::move(*record.mutable_resource());
  document.page_begins.assign(record.page_begins().begin(), record.page_begins().end());
  document.text.reserve(static_cast<size_t>(document.resource.text_bytes()));
  const std::string prefix = TextPrefix(id);
  RETURN_IF_ERROR(
      state_.Scan(prefix, state::PrefixEnd(prefix), [&](std::string_view, std::string_view piece) {
        document.text += piece;
        return true;
      }));
  if (static_cast<int64_t>(document.text.size()) != document.resource.text_bytes())
    return Damaged(id);
  document.paragraphs = SplitParagraphs(document.text, document.page_begins);
  document.resource.set_paragraphs(static_cast<int32_t>(document.paragraphs.size()));
  return document;
}

absl::StatusOr<std::shared_ptr<const ParsedDocument>> DocumentTable::Load(
    const std::string& name) const {
  ASSIGN_OR_RETURN(const std::string id, DocumentIdOf(name));
  std::shared_ptr<const ParsedDocument> document = cache_.Get(id);
  if (document != nullptr) return document;
  const int64_t erasures = cache_.erasures();
  ASSIGN_OR_RETURN(ParsedDocument read, Read(id));
  document = std::make_shared<const ParsedDocument>(std::move(read));
  cache_.Put(id, document, erasures);
  return document;
}

}  // namespace lectern::documents
