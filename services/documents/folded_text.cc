#include "services/documents/folded_text.h"

#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

// The ASCII form of a typographic character; empty where it has none.
std::string_view AsciiForm(char32_t code) {
  if (code == 0x2018 || code == 0x2019 || code == 0x201A || code == 0x201B) return "'";
  if (code >= 0x201C && code <= 0x201F) return "\"";
  if ((code >= 0x2010 && code <= 0x2015) || code == 0x2212) return "-";
  if (code == 0x2026) return "...";
  switch (code) {
    case 0xFB00:
      return "ff";
    case 0xFB01:
      return "fi";
    case 0xFB02:
      return "fl";
    case 0xFB03:
      return "ffi";
    case 0xFB04:
      return "ffl";
    case 0xFB05:
      return "st";
    case 0xFB06:
      return "st";
    default:
      return "";
  }
}

bool IsLineBreakHyphen(std::string_view text, size_t at) {
  return text[at] == '-' && at > 0 && IsAsciiLetter(text[at - 1]) && at + 1 < text.size() &&
         text[at + 1] == ' ';
}

// put(bytes, begin, end): the folded bytes of the character at [begin, end).
template <typename Put>
void FoldEach(std::string_view text, Folding folding, Put put) {
  for (size_t at = 0; at < text.size();) {
    bool is_space = false;
    const int dropped = SpaceOrInvisibleLength(text, at, &is_space);
    if (dropped > 0) {
      at += static_cast<size_t>(dropped);
      continue;
    }
    const Utf8Character character = DecodeUtf8(text, at);
    const auto length = static_cast<size_t>(character.length);
    std::string_view bytes = text.substr(at, length);
    if (folding == Folding::kTypography) {
      const std::string_view ascii = AsciiForm(character.code);
      if (!ascii.empty()) bytes = ascii;
      if (IsLineBreakHyphen(text, at)) bytes = "";
    }
    put(bytes, at, at + length);
    at += length;
  }
}

}  // namespace

std::string Fold(std::string_view normalized, Folding folding) {
  std::string folded;
  folded.reserve(normalized.size());
  FoldEach(normalized, folding, [&](std::string_view bytes, size_t, size_t) { folded += bytes; });
  return folded;
}

std::vector<FoldedOrigin> FoldOrigins(std::string_view normalized, Folding folding) {
  std::vector<FoldedOrigin> origins;
  FoldEach(normalized, folding, [&](std::string_view bytes, size_t begin, size_t end) {
    origins.insert(origins.end(), bytes.size(),
                   FoldedOrigin{static_cast<int32_t>(begin), static_cast<int32_t>(end)});
  });
  return origins;
}

int64_t CountWordBytes(std::string_view folded) {
  int64_t count = 0;
  for (const char byte : folded)
    count += IsAsciiWord(byte) || static_cast<unsigned char>(byte) >= 0x80;
  return count;
}

}  // namespace lectern::documents
