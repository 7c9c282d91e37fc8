#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace lectern::documents {

inline constexpr std::string_view kPlainText = "text/plain";
inline constexpr std::string_view kMarkdown = "text/markdown";
inline constexpr std::string_view kHtml = "text/html";
inline constexpr std::string_view kPdf = "application/pdf";

// One of the four above from what the client says. Parameters and case are ignored, usual other
// names accepted. Empty for an empty or wholly general type (application/octet-stream).
// InvalidArgument: a type that is not read.
absl::StatusOr<std::string> CanonicalMimeType(std::string_view mime_type);

// InvalidArgument: the name's ending says that this is a format which is not read (office files,
// archives, pictures).
absl::Status RefuseByName(std::string_view name);

// From the first bytes, then the name's ending; plain text where neither says more.
std::string GuessMimeType(std::string_view source, std::string_view name);

}  // namespace lectern::documents
