#include "services/documents/pdf_text.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/documents/child_process.h"
#include "services/documents/mime_type.h"
#include "services/documents/text_decoder.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

using End = ChildOutcome::End;

// The first complaint on one line, fit for an error message.
std::string FirstComplaint(const std::string& error_output) {
  std::string line = error_output.substr(0, error_output.find('\n'));
  line.resize(std::min<size_t>(line.size(), 200));
  for (char& byte : line) {
    if (byte < 0x20 || byte > 0x7E) byte = '?';
  }
  return line.empty() ? "no reason given" : line;
}

absl::Status FromOutcome(const ChildOutcome& outcome, const DocumentStoreOptions& options) {
  const std::string& complaint = outcome.error_output;
  switch (outcome.end) {
    case End::kCancelled:
      return absl::CancelledError("reading the PDF was cancelled");
    case End::kTimeLimit:
      return absl::InvalidArgumentError(
          absl::StrCat("the PDF takes more than ", options.extractor_seconds, " s to read"));
    case End::kOutputLimit:
      return absl::InvalidArgumentError(
          absl::StrCat("the PDF has more than ", options.text_bytes_max, " bytes of text"));
    case End::kSignalled:
      return absl::InvalidArgumentError(
          absl::StrCat("reading the PDF ended by signal ", outcome.code, " within its limits of ",
                       options.extractor_memory_bytes >> 20, " MiB and ", options.extractor_seconds,
                       " s: ", FirstComplaint(complaint)));
    case End::kExited:
      break;
  }
  if (outcome.code == 0) return absl::OkStatus();
  if (complaint.find("Incorrect password") != std::string::npos) {
    return absl::InvalidArgumentError(
        "the PDF is encrypted and needs a password; save it without one");
  }
  if (outcome.code == 3)
    return absl::InvalidArgumentError("the PDF's permissions forbid copying its text");
  if (complaint.find("Out of memory") != std::string::npos ||
      complaint.find("bad_alloc") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the PDF takes more than ", options.extractor_memory_bytes >> 20, " MiB to read"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the PDF cannot be read: ", FirstComplaint(complaint)));
}

// U+FB00 to U+FB06: glyphs that fonts use for letter pairs. As letters they can be searched and
// quoted.
std::string ExpandLigatures(std::string_view text) {
  constexpr std::array<std::string_view, 7> kLetters = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t found = std::min(text.find("\xEF\xAC", at), text.size());
    out.append(text.substr(at, found - at));
    if (found == text.size()) break;
    const size_t index =
        found + 2 < text.size() ? static_cast<unsigned char>(text[found + 2]) - 0x80U : 99;
    if (index < kLetters.size()) {
      out.append(kLetters[index]);
      at = found + 3;
    } else {
      out.append("\xEF\xAC");
      at = found + 2;
    }
  }
  return out;
}

ExtractedText SplitPages(std::string_view output) {
  ExtractedText extracted;
  extracted.mime_type = kPdf;
  while (!output.empty()) {
    const std::string_view page = output.substr(0, output.find('\f'));
    extracted.page_begins.push_back(static_cast<int64_t>(extracted.text.size()));
    extracted.text += ExpandLigatures(CleanText(page));
    if (page.size() < output.size()) extracted.text += '\n';
    output.remove_prefix(std::min(output.size(), page.size() + 1));
  }
  return extracted;
}

bool HasVisibleText(std::string_view text) {
  bool is_space = false;
  for (size_t at = 0; at < text.size();) {
    const int space = SpaceOrInvisibleLength(text, at, &is_space);
    if (space == 0) return true;
    at += static_cast<size_t>(space);
  }
  return false;
}

}  // namespace

absl::StatusOr<ExtractedText> ExtractPdf(std::string_view source,
                                         const DocumentStoreOptions& options,
                                         const std::function<bool()>& cancelled) {
  const ChildLimits limits{options.extractor_memory_bytes, options.extractor_seconds,
                           options.text_bytes_max};
  // Not -layout: that keeps columns side by side, which tears sentences apart.
  absl::StatusOr<ChildOutcome> outcome = RunChild(
      options.pdftotext, {"-enc", "UTF-8", "-eol", "unix", "-", "-"}, source, limits, cancelled);
  if (outcome.status().code() == absl::StatusCode::kFailedPrecondition) {
    return absl::FailedPreconditionError(
        absl::StrCat("PDF files are read through pdftotext: install the package poppler-utils (",
                     outcome.status().message(), ")"));
  }
  if (!outcome.ok()) return outcome.status();
  RETURN_IF_ERROR(FromOutcome(*outcome, options));
  if (!IsValidUtf8(outcome->output))
    return absl::InternalError("pdftotext wrote text that is not UTF-8");
  ExtractedText extracted = SplitPages(outcome->output);
  if (!HasVisibleText(extracted.text)) {
    return absl::InvalidArgumentError(absl::StrCat("the PDF has no text layer on its ",
                                                   extracted.page_begins.size(),
                                                   " pages (a scan?); run it through OCR first"));
  }
  return extracted;
}

}  // namespace lectern::documents
