#include "services/documents/utf8.h"

#include "engine/base/check.h"

namespace lectern::documents {
namespace {

uint8_t Byte(char value) { return static_cast<uint8_t>(value); }

}  // namespace

bool IsContinuationByte(char byte) { return (Byte(byte) & 0xC0) == 0x80; }

Utf8Character DecodeUtf8(std::string_view text, size_t offset) {
  LECTERN_CHECK(offset < text.size());
  const uint8_t lead = Byte(text[offset]);
  if (lead < 0x80) return {lead, 1};
  const int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - offset < static_cast<size_t>(length)) return {};
  char32_t code = lead & (0xFFU >> (length + 1));
  for (int i = 1; i < length; ++i) {
    const char next = text[offset + static_cast<size_t>(i)];
    if (!IsContinuationByte(next)) return {};
    code = code << 6 | (Byte(next) & 0x3F);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, length};
}

void AppendUtf8(char32_t code, std::string& out) {
  const auto put = [&out](char32_t byte) {
    out.push_back(static_cast<char>(static_cast<uint8_t>(byte)));
  };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

size_t CharacterBorderAtOrBefore(std::string_view text, size_t offset) {
  if (offset >= text.size()) return text.size();
  while (offset > 0 && IsContinuationByte(text[offset])) --offset;
  return offset;
}

bool IsSpaceCharacter(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

bool IsInvisibleCharacter(char32_t code) {
  return code == 0xAD || code == 0x200B || code == 0x2060 || code == 0xFEFF;
}

int SpaceOrInvisibleLength(std::string_view text, size_t offset, bool* is_space) {
  const uint8_t lead = Byte(text[offset]);
  *is_space = false;
  if (lead < 0x80) {
    *is_space = lead == 0x20 || (lead >= 0x09 && lead <= 0x0D);
    return *is_space ? 1 : 0;
  }
  // Leads of all spaces and invisible characters; the rest needs no decoding.
  if (lead != 0xC2 && lead != 0xE1 && lead != 0xE2 && lead != 0xE3 && lead != 0xEF) return 0;
  const Utf8Character character = DecodeUtf8(text, offset);
  *is_space = IsSpaceCharacter(character.code);
  return *is_space || IsInvisibleCharacter(character.code) ? character.length : 0;
}

bool IsAsciiUpper(char byte) { return byte >= 'A' && byte <= 'Z'; }
bool IsAsciiLower(char byte) { return byte >= 'a' && byte <= 'z'; }
bool IsAsciiLetter(char byte) { return IsAsciiUpper(byte) || IsAsciiLower(byte); }
bool IsAsciiDigit(char byte) { return byte >= '0' && byte <= '9'; }
char AsciiToLower(char byte) {
  return IsAsciiUpper(byte) ? static_cast<char>(byte - 'A' + 'a') : byte;
}

std::string AsciiToLower(std::string_view text) {
  std::string out(text);
  for (char& byte : out) byte = AsciiToLower(byte);
  return out;
}

}  // namespace lectern::documents
