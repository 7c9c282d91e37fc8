#include "services/documents/mime_type.h"

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

constexpr std::string_view kReadable = "PDF, HTML, Markdown and plain text are read";

constexpr std::array<std::string_view, 34> kUnreadEndings = {
    "docx", "doc", "xlsx", "xls", "pptx", "ppt", "odt", "ods", "odp", "epub", "rtf",  "zip",
    "gz",   "tgz", "bz2",  "xz",  "zst",  "7z",  "rar", "tar", "png", "jpg",  "jpeg", "gif",
    "webp", "tif", "tiff", "bmp", "mp3",  "mp4", "exe", "so",  "ps",  "djvu"};

std::string Ending(std::string_view name) {
  const size_t slash = name.find_last_of("/\\");
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? "" : AsciiToLower(name.substr(dot + 1));
}

std::string_view TrimAscii(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

absl::StatusOr<std::string> CanonicalMimeType(std::string_view mime_type) {
  const std::string type = AsciiToLower(TrimAscii(mime_type.substr(0, mime_type.find(';'))));
  if (type.empty() || type == "application/octet-stream") return std::string();
  if (type == kPlainText) return std::string(kPlainText);
  if (type == kMarkdown || type == "text/x-markdown") return std::string(kMarkdown);
  if (type == kHtml || type == "application/xhtml+xml") return std::string(kHtml);
  if (type == kPdf || type == "application/x-pdf") return std::string(kPdf);
  return absl::InvalidArgumentError(absl::StrCat("mime_type: \"", type.substr(0, 100),
                                                 "\" is not read; ", base::ToAbsl(kReadable)));
}

absl::Status RefuseByName(std::string_view name) {
  const std::string ending = Ending(name);
  if (std::find(kUnreadEndings.begin(), kUnreadEndings.end(), ending) == kUnreadEndings.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("display_name: files ending in .", ending,
                                                 " are not read; ", base::ToAbsl(kReadable)));
}

std::string GuessMimeType(std::string_view source, std::string_view name) {
  if (source.substr(0, 5) == "%PDF-") return std::string(kPdf);
  const std::string ending = Ending(name);
  if (ending == "pdf") return std::string(kPdf);
  if (ending == "html" || ending == "htm" || ending == "xhtml") return std::string(kHtml);
  if (ending == "md" || ending == "markdown") return std::string(kMarkdown);
  std::string_view start = source.substr(0, 512);
  if (start.substr(0, 3) == "\xEF\xBB\xBF") start.remove_prefix(3);
  const std::string beginning = AsciiToLower(TrimAscii(start));
  const auto begins = [&beginning](std::string_view with) {
    return beginning.compare(0, with.size(), with) == 0;
  };
  if (begins("<!doctype html") || begins("<html")) return std::string(kHtml);
  // Readers of PDF accept rubbish before the header, within the first 1,024 bytes (ISO 32000-1,
  // annex H.3.4.1).
  if (source.substr(0, 1024).find("%PDF-") != std::string_view::npos) return std::string(kPdf);
  return std::string(kPlainText);
}

}  // namespace lectern::documents
