#include "services/documents/text_decoder.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// Windows-1252, 0x80 to 0x9F; the five holes become U+FFFD.
constexpr std::array<char16_t, 32> kWindows1252 = {
    0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178};

uint8_t Byte(char value) { return static_cast<uint8_t>(value); }

absl::Status TooMuchText(const DecodeLimits& limits) {
  return absl::InvalidArgumentError(
      absl::StrCat("the document has more than ", limits.text_bytes_max, " bytes of text"));
}

struct Utf8Census {
  int64_t multibyte = 0;
  int64_t invalid = 0;
};

Utf8Census Count(std::string_view text) {
  Utf8Census census;
  for (size_t i = 0; i < text.size();) {
    if (Byte(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const Utf8Character character = DecodeUtf8(text, i);
    ++(character.code == kInvalidCharacter ? census.invalid : census.multibyte);
    i += static_cast<size_t>(character.length);
  }
  return census;
}

std::string FromWindows1252(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char value : text) {
    const uint8_t byte = Byte(value);
    AppendUtf8(byte >= 0x80 && byte < 0xA0 ? kWindows1252[byte - 0x80] : byte, out);
  }
  return out;
}

enum class ByteOrder { kLittle, kBig };

std::string FromUtf16(std::string_view text, ByteOrder order) {
  const auto unit = [&](size_t i) -> char32_t {
    const uint8_t first = Byte(text[2 * i]);
    const uint8_t second = Byte(text[2 * i + 1]);
    return static_cast<char32_t>(order == ByteOrder::kLittle ? second << 8 | first
                                                             : first << 8 | second);
  };
  const size_t units = text.size() / 2;  // a last odd byte is a torn character
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < units; ++i) {
    const char32_t high = unit(i);
    if (high < 0xD800 || high > 0xDFFF) {
      AppendUtf8(high, out);
    } else if (high < 0xDC00 && i + 1 < units && unit(i + 1) >= 0xDC00 && unit(i + 1) <= 0xDFFF) {
      AppendUtf8(0x10000 + ((high - 0xD800) << 10) + (unit(i + 1) - 0xDC00), out);
      ++i;
    } else {
      AppendUtf8(kReplacement, out);
    }
  }
  if (text.size() % 2 != 0) AppendUtf8(kReplacement, out);
  return out;
}

// Text in European languages has a zero in every other byte of its UTF-16; no 8-bit text has.
bool LooksLikeUtf16(std::string_view source, ByteOrder order) {
  const size_t looked_at = std::min<size_t>(source.size(), 4096) & ~size_t{1};
  if (looked_at < 8) return false;
  size_t high_zeros = 0;
  size_t low_zeros = 0;
  for (size_t i = 0; i < looked_at; i += 2) {
    const bool little = order == ByteOrder::kLittle;
    high_zeros += source[little ? i + 1 : i] == '\0';
    low_zeros += source[little ? i : i + 1] == '\0';
  }
  return high_zeros > looked_at / 2 * 7 / 10 && low_zeros == 0;
}

// A tenth of control bytes is far above any text, terminal recordings included, and below
// compressed data's 11 %.
absl::Status RefuseBinary(std::string_view source) {
  size_t control = 0;
  for (const char value : source) {
    const uint8_t byte = Byte(value);
    control +=
        byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f' && byte != 0x1B;
  }
  if (control * 10 > source.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("this is binary data, not text: ", control, " of its ", source.size(),
                     " bytes are control characters. PDF, HTML, Markdown and plain text are read"));
  }
  return absl::OkStatus();
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

absl::StatusOr<std::string> ToUtf8(std::string_view source) {
  using namespace std::string_view_literals;
  if (StartsWith(source, "\xFF\xFE\0\0"sv) || StartsWith(source, "\0\0\xFE\xFF"sv)) {
    return absl::InvalidArgumentError("the text is UTF-32, which is not read; save it as UTF-8");
  }
  if (StartsWith(source, "\xFF\xFE"sv)) return FromUtf16(source.substr(2), ByteOrder::kLittle);
  if (StartsWith(source, "\xFE\xFF"sv)) return FromUtf16(source.substr(2), ByteOrder::kBig);
  if (LooksLikeUtf16(source, ByteOrder::kLittle)) return FromUtf16(source, ByteOrder::kLittle);
  if (LooksLikeUtf16(source, ByteOrder::kBig)) return FromUtf16(source, ByteOrder::kBig);
  RETURN_IF_ERROR(RefuseBinary(source));
  const Utf8Census census = Count(source);
  if (census.invalid == 0) return std::string(source);
  // Chance makes few valid sequences out of 8-bit text: who has more of them than errors is damaged
  // UTF-8.
  return census.multibyte > census.invalid ? RepairUtf8(source) : FromWindows1252(source);
}

}  // namespace

bool IsValidUtf8(std::string_view text) { return Count(text).invalid == 0; }

std::string RepairUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Character character = DecodeUtf8(text, i);
    if (character.code == kInvalidCharacter) {
      AppendUtf8(kReplacement, out);
    } else {
      out.append(text, i, static_cast<size_t>(character.length));
    }
    i += static_cast<size_t>(character.length);
  }
  return out;
}

std::string CleanText(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size();) {
    const uint8_t byte = Byte(utf8[i]);
    if (byte >= 0x20 && byte < 0x7F) {
      out.push_back(utf8[i++]);
      continue;
    }
    const Utf8Character character = DecodeUtf8(utf8, i);
    if (byte == '\r') {
      out.push_back('\n');
      if (i + 1 < utf8.size() && utf8[i + 1] == '\n') ++i;
    } else if (byte == '\n' || byte == '\f' || byte == '\v' || character.code == 0x85) {
      out.push_back('\n');
    } else if (byte == '\t') {
      out.push_back('\t');
    } else if (byte < 0x20 || (character.code >= 0x7F && character.code < 0xA0)) {
      out.push_back(' ');
    } else if (character.code != 0xFEFF) {
      out.append(utf8, i, static_cast<size_t>(character.length));
    }
    i += static_cast<size_t>(character.length);
  }
  return out;
}

absl::StatusOr<std::string> DecodeText(std::string_view source, const DecodeLimits& limits) {
  // Checked before and after: decoding at most triples the bytes, which bounds the memory in
  // between.
  const auto limit = static_cast<size_t>(limits.text_bytes_max);
  if (source.size() / 2 > limit) return TooMuchText(limits);
  ASSIGN_OR_RETURN(const std::string utf8, ToUtf8(source));
  std::string clean = CleanText(utf8);
  if (clean.size() > limit) return TooMuchText(limits);
  return clean;
}

}  // namespace lectern::documents
