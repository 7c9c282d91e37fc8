// Bytes from outside as plain text or Markdown, as a text with a quote of it, and as a question
// about it. The first byte chooses. Whatever is extracted has paragraphs that hold, and every
// passage found in it is exact.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "services/documents/citations.h"
#include "services/documents/document_store.h"
#include "services/documents/excerpt.h"
#include "services/documents/text_decoder.h"
#include "tests/services/documents/paragraph_checks.h"
#include "tests/services/documents/parsed_documents.h"

namespace {

namespace documents = lectern::documents;
using Documents = std::vector<std::shared_ptr<const documents::ParsedDocument>>;

// Pages begin where the text has line ends, every `distance` bytes or so.
std::vector<int64_t> MakePages(std::string_view text, size_t distance) {
  std::vector<int64_t> begins = {0};
  for (size_t at = distance; at < text.size(); at += distance) {
    at = text.find('\n', at);
    if (at == std::string_view::npos) break;
    begins.push_back(static_cast<int64_t>(at) + 1);
  }
  return begins;
}

Documents ReadDocument(std::string_view source, size_t page_distance) {
  const auto extracted = documents::ExtractText(source, "text/plain", "", {}, {});
  if (!extracted.ok()) {
    LECTERN_CHECK(extracted.status().code() == absl::StatusCode::kInvalidArgument);
    return {};
  }
  LECTERN_CHECK(documents::IsValidUtf8(extracted->text));
  std::vector<int64_t> pages;
  if (page_distance > 0) pages = MakePages(extracted->text, page_distance);
  Documents read = {documents::MakeParsed("0", extracted->text, pages)};
  documents::CheckParagraphs(read[0]->text, read[0]->paragraphs);
  return read;
}

void Quote(const Documents& read, std::string_view quote) {
  const auto placed = documents::PlaceAll(read);
  const std::vector<int> named = {2};
  for (const auto& passage : documents::FindQuote(read, placed, named, quote)) {
    LECTERN_CHECK(passage.text() == read[0]->text.substr(static_cast<size_t>(passage.byte_begin()),
                                                         passage.text().size()));
    LECTERN_CHECK(passage.page() == read[0]->PageOf(passage.byte_begin()));
  }
}

void Ask(const Documents& read, std::string_view question) {
  const std::vector<std::vector<int32_t>> tokens = {
      std::vector<int32_t>(read[0]->paragraphs.size(), 1)};
  documents::ExcerptRequest request;
  request.documents = read;
  request.question = question;
  request.token_budget = 5;
  request.paragraph_tokens = tokens;
  const auto chosen = documents::ChooseExcerpt(request);
  LECTERN_CHECK(chosen.ok() && !chosen->empty() && chosen->size() <= 5);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::vector<uint8_t> copy(data + 2, data + size);  // exactly as long as the source
  std::string_view source(reinterpret_cast<const char*>(copy.data()), copy.size());
  const int kind = data[0] % 3;
  std::string_view second;  // behind the last line break: a quote or a question
  if (kind != 0) {
    const size_t cut = source.rfind('\n');
    if (cut == std::string_view::npos) return 0;
    second = source.substr(cut + 1);
    source = source.substr(0, cut);
  }
  const Documents read = ReadDocument(source, data[1]);
  if (read.empty()) return 0;
  // Protobuf lets only valid UTF-8 in as a question; an answer's text is as the model wrote it.
  if (kind == 1) Quote(read, second);
  if (kind == 2) Ask(read, second);
  return 0;
}
