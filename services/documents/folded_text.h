#pragma once
// Text as quotes are compared: without what a copy may change. Spaces and invisible characters
// never count.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lectern::documents {

enum class Folding {
  kSpaces,      // spaces and invisible characters are dropped, nothing else
  kTypography,  // also: curly quotes, dashes, ellipsis and ligatures become ASCII; a hyphen before
                // a space is dropped, so that a word hyphenated over a line break equals the whole
                // word
};

std::string Fold(std::string_view normalized, Folding folding);

// Per byte of Fold(normalized, folding) the character that it comes from.
struct FoldedOrigin {
  int32_t begin = 0;  // in `normalized`
  int32_t end = 0;
};
std::vector<FoldedOrigin> FoldOrigins(std::string_view normalized, Folding folding);

// How many bytes of folded text are letters, digits or parts of other scripts.
int64_t CountWordBytes(std::string_view folded);

}  // namespace lectern::documents
