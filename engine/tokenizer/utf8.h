#pragma once
// UTF-8 as the Unicode standard defines it (table 3-7): no overlong forms, no surrogates, nothing
// above U+10FFFF. Broken input is cut into maximal subparts, as Rust's from_utf8_lossy does.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lectern::tokenizer {

enum class Utf8Kind {
  kCharacter,   // a whole character
  kInvalid,     // bytes that no continuation could mend; one U+FFFD stands for them
  kIncomplete,  // the text ends inside a character that is well formed so far
};

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kInvalid;
  size_t length = 0;        // bytes, 1 to 4
  uint32_t code_point = 0;  // of kCharacter
};

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// What stands at the start of `text`, which must not be empty.
Utf8Step DecodeUtf8(std::string_view text);

bool IsValidUtf8(std::string_view text);

// Length of the longest well-formed prefix, in bytes.
size_t ValidUtf8Prefix(std::string_view text);

// Bytes at the end of `text` (0 to 3) that begin a character which the text does not finish.
size_t IncompleteUtf8Tail(std::string_view text);

// Appends `bytes` to `out` with U+FFFD for every maximal broken part, and an unfinished end too.
void AppendLossyUtf8(std::string_view bytes, std::string& out);

// Unicode property White_Space.
bool IsWhiteSpace(uint32_t code_point);

}  // namespace lectern::tokenizer
