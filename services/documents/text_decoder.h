#pragma once
// Source bytes of unknown encoding to clean UTF-8: what every extracted text consists of.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace lectern::documents {

struct DecodeLimits {
  int64_t text_bytes_max = 64LL << 20;
};

// UTF-8 with or without byte order mark, UTF-16 with one (or plainly UTF-16 by its zero bytes),
// else Windows-1252, which contains printable Latin-1. Text that is UTF-8 but for a few bytes keeps
// its characters; each bad byte becomes U+FFFD. InvalidArgument: binary data, UTF-32, or more text
// than the limit.
absl::StatusOr<std::string> DecodeText(std::string_view source, const DecodeLimits& limits);

// Cleans valid UTF-8 in place of DecodeText's last step: line ends become \n; form feed, vertical
// tab and U+0085 too; NUL and all other control characters become one space, so that no two words
// grow together; byte order marks go. Keeping no control character means that any text can be shown
// on a terminal and sent in any protocol.
std::string CleanText(std::string_view utf8);

bool IsValidUtf8(std::string_view text);
// Each byte that is no part of a character becomes U+FFFD.
std::string RepairUtf8(std::string_view text);

}  // namespace lectern::documents
