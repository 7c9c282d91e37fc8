#pragma once
// UTF-8 one character at a time, and the few character classes that extraction, paragraphs and
// matching share.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lectern::documents {

inline constexpr char32_t kInvalidCharacter = 0xFFFFFFFF;

struct Utf8Character {
  char32_t code = kInvalidCharacter;
  int length = 1;  // bytes; 1 for an invalid byte
};

// The character that begins at text[offset]. Overlong forms, surrogates and values above U+10FFFF
// are invalid (RFC 3629). offset < text.size().
Utf8Character DecodeUtf8(std::string_view text, size_t offset);
void AppendUtf8(char32_t code, std::string& out);

bool IsContinuationByte(char byte);
// The largest character border that is not above `offset`, for valid UTF-8.
size_t CharacterBorderAtOrBefore(std::string_view text, size_t offset);

// Unicode White_Space, of which tab, line break and no-break space are members.
bool IsSpaceCharacter(char32_t code);
// Characters without width that are no part of a word: soft hyphen, zero-width space and joiners'
// kin, byte order mark.
bool IsInvisibleCharacter(char32_t code);
// Length of the space or invisible character at text[offset], 0 where another character stands
// there.
int SpaceOrInvisibleLength(std::string_view text, size_t offset, bool* is_space);

// ASCII letters and digits. Case folding and classes of other scripts are not needed here.
bool IsAsciiLetter(char byte);
bool IsAsciiUpper(char byte);
bool IsAsciiLower(char byte);
bool IsAsciiDigit(char byte);
inline bool IsAsciiWord(char byte) { return IsAsciiLetter(byte) || IsAsciiDigit(byte); }
char AsciiToLower(char byte);
std::string AsciiToLower(std::string_view text);

}  // namespace lectern::documents
