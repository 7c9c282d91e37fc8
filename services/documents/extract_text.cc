// ExtractText of document_store.h: one door for all formats.

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/documents/document_store.h"
#include "services/documents/html_text.h"
#include "services/documents/mime_type.h"
#include "services/documents/pdf_text.h"
#include "services/documents/text_decoder.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

// Text of millions of tiny lines would make millions of paragraphs, each with its own bookkeeping.
constexpr int64_t kLinesMax = 2'000'000;

// Offsets of paragraphs and prompts are 32 bits wide in places.
constexpr int64_t kTextBytesAbsoluteMax = 1LL << 30;

absl::Status CheckText(const ExtractedText& extracted, const DocumentStoreOptions& options) {
  const auto bytes = static_cast<int64_t>(extracted.text.size());
  if (bytes > std::min(options.text_bytes_max, kTextBytesAbsoluteMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the document has ", bytes, " bytes of text; the limit is ", options.text_bytes_max));
  }
  if (std::count(extracted.text.begin(), extracted.text.end(), '\n') > kLinesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the document has more than ", kLinesMax, " lines"));
  }
  bool is_space = false;
  for (size_t at = 0; at < extracted.text.size();) {
    const int space = SpaceOrInvisibleLength(extracted.text, at, &is_space);
    if (space == 0) return absl::OkStatus();
    at += static_cast<size_t>(space);
  }
  return absl::InvalidArgumentError("the document has no text");
}

absl::StatusOr<ExtractedText> Extract(std::string_view source, const std::string& type,
                                      const DocumentStoreOptions& options,
                                      const std::function<bool()>& cancelled) {
  if (type == kPdf) return ExtractPdf(source, options, cancelled);
  if (type == kHtml) return ExtractHtml(source, options, cancelled);
  // Markdown stays as it was written: its marks are readable, and the quotes of it are exact.
  ASSIGN_OR_RETURN(std::string text, DecodeText(source, {options.text_bytes_max}));
  return ExtractedText{type, std::move(text), {}};
}

}  // namespace

absl::StatusOr<ExtractedText> ExtractText(std::string_view source, std::string_view mime_type,
                                          std::string_view name,
                                          const DocumentStoreOptions& options,
                                          const std::function<bool()>& cancelled) {
  if (source.empty()) return absl::InvalidArgumentError("the document is empty");
  if (static_cast<int64_t>(source.size()) > options.source_bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the document has ", source.size(), " bytes; the limit is ", options.source_bytes_max));
  }
  if (cancelled && cancelled()) return absl::CancelledError("reading the document was cancelled");
  ASSIGN_OR_RETURN(std::string type, CanonicalMimeType(mime_type));
  if (type.empty()) {
    RETURN_IF_ERROR(RefuseByName(name));
    type = GuessMimeType(source, name);
  }
  ASSIGN_OR_RETURN(ExtractedText extracted, Extract(source, type, options, cancelled));
  RETURN_IF_ERROR(CheckText(extracted, options));
  return extracted;
}

}  // namespace lectern::documents
