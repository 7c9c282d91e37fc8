#include "tests/testing/fake_documents.h"

#include "absl/strings/str_cat.h"

namespace lectern::testing {
namespace {
absl::Status NoUploads() { return absl::UnimplementedError("the fake takes no uploads"); }
}  // namespace

std::string FakeDocuments::Put(const std::string& id, const std::vector<std::string>& paragraphs) {
  auto document = std::make_shared<documents::ParsedDocument>();
  document->resource.set_name("documents/" + id);
  for (const std::string& text : paragraphs) {
    if (!document->text.empty()) document->text += "\n\n";
    documents::Paragraph paragraph;
    paragraph.byte_begin = static_cast<int64_t>(document->text.size());
    paragraph.byte_end = paragraph.byte_begin + static_cast<int64_t>(text.size());
    paragraph.normalized = text;
    for (size_t i = 0; i <= text.size(); ++i) paragraph.byte_map.push_back(static_cast<int32_t>(i));
    document->paragraphs.push_back(std::move(paragraph));
    document->text += text;
  }
  document->resource.set_text_bytes(static_cast<int64_t>(document->text.size()));
  document->resource.set_paragraphs(static_cast<int32_t>(paragraphs.size()));
  const std::lock_guard lock(mutex_);
  const std::string name = document->resource.name();
  documents_[name] = std::move(document);
  return name;
}

absl::StatusOr<v1::StartUploadResponse> FakeDocuments::StartUpload(const v1::StartUploadRequest&) {
  return NoUploads();
}
absl::Status FakeDocuments::AppendChunk(const std::string&, const v1::UploadRequest::Chunk&) {
  return NoUploads();
}
absl::StatusOr<v1::QueryUploadResponse> FakeDocuments::QueryUpload(const std::string&) const {
  return NoUploads();
}
absl::StatusOr<v1::Document> FakeDocuments::FinishUpload(const std::string&,
                                                         const v1::UploadRequest::Finish&,
                                                         const std::function<bool()>&) {
  return NoUploads();
}

absl::StatusOr<v1::Document> FakeDocuments::Get(const std::string& name) const {
  const auto document = Load(name);
  if (!document.ok()) return document.status();
  return (*document)->resource;
}

absl::StatusOr<v1::ListDocumentsResponse> FakeDocuments::List(
    const v1::ListDocumentsRequest&) const {
  const std::lock_guard lock(mutex_);
  v1::ListDocumentsResponse response;
  for (const auto& [name, document] : documents_) *response.add_documents() = document->resource;
  return response;
}

absl::Status FakeDocuments::Delete(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return documents_.erase(name) == 1 ? absl::OkStatus() : absl::NotFoundError(name);
}

absl::StatusOr<std::shared_ptr<const documents::ParsedDocument>> FakeDocuments::Load(
    const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = documents_.find(name);
  if (found == documents_.end()) return absl::NotFoundError(absl::StrCat(name, " does not exist"));
  return found->second;
}

int64_t FakeDocuments::Count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(documents_.size());
}

}  // namespace lectern::testing
