#pragma once
// What every paragraph of every text must satisfy; shared by the tests and the fuzz target.

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "services/documents/paragraphs.h"
#include "services/documents/utf8.h"

namespace lectern::documents {

// The rule of normalization, written a second time and simply: runs of space become one space,
// invisible characters go.
inline std::string NormalizeSimply(std::string_view source) {
  std::string out;
  for (size_t at = 0; at < source.size();) {
    const Utf8Character character = DecodeUtf8(source, at);
    if (IsSpaceCharacter(character.code)) {
      if (out.empty() || out.back() != ' ') out += ' ';
    } else if (!IsInvisibleCharacter(character.code)) {
      out += source.substr(at, static_cast<size_t>(character.length));
    }
    at += static_cast<size_t>(character.length);
  }
  return out;
}

inline void CheckParagraph(std::string_view text, const Paragraph& paragraph) {
  const std::string& normalized = paragraph.normalized;
  const auto size = normalized.size();
  LECTERN_CHECK(size > 0 && size <= 2000);
  LECTERN_CHECK(normalized.front() != ' ' && normalized.back() != ' ');
  LECTERN_CHECK(normalized.find('\n') == std::string::npos &&
                normalized.find("  ") == std::string::npos);
  LECTERN_CHECK(paragraph.byte_map.size() == size + 1 && paragraph.byte_map[0] == 0);
  LECTERN_CHECK(paragraph.byte_map[size] == paragraph.byte_end - paragraph.byte_begin);
  const std::string_view source =
      text.substr(static_cast<size_t>(paragraph.byte_begin),
                  static_cast<size_t>(paragraph.byte_end - paragraph.byte_begin));
  LECTERN_CHECK(source.size() <= 64 * (size + 1));
  LECTERN_CHECK(NormalizeSimply(source) == normalized);
  for (size_t i = 0; i < size; ++i) {
    LECTERN_CHECK(paragraph.byte_map[i] < paragraph.byte_map[i + 1]);
    // Each byte stands for itself, or is the space that a run of spaces became.
    const auto at = static_cast<size_t>(paragraph.byte_map[i]);
    LECTERN_CHECK(normalized[i] == ' ' || source[at] == normalized[i]);
    if (normalized[i] == ' ') {
      const auto end = static_cast<size_t>(paragraph.byte_map[i + 1]);
      LECTERN_CHECK(NormalizeSimply(source.substr(at, end - at)) == " ");
    }
  }
}

// A range of normalized bytes between characters, without spaces at its ends, taken back to the
// text and normalized again.
inline void CheckRange(std::string_view text, const Paragraph& paragraph, size_t begin,
                       size_t end) {
  const auto from = static_cast<size_t>(paragraph.byte_begin + paragraph.byte_map[begin]);
  const auto to = static_cast<size_t>(paragraph.byte_begin + paragraph.byte_map[end - 1] + 1);
  LECTERN_CHECK(NormalizeSimply(text.substr(from, to - from)) ==
                paragraph.normalized.substr(begin, end - begin));
}

inline void CheckSentences(std::string_view normalized) {
  int64_t at = 0;
  for (const ByteRange& range : SplitSentences(normalized)) {
    LECTERN_CHECK(range.begin == at && range.end > at);
    LECTERN_CHECK(!IsContinuationByte(normalized[static_cast<size_t>(at)]));
    at = range.end;
  }
  LECTERN_CHECK(at == static_cast<int64_t>(normalized.size()));
}

// All of it, and that no visible character outside of rule lines is lost between paragraphs.
inline void CheckParagraphs(std::string_view text, const std::vector<Paragraph>& paragraphs) {
  int64_t last_end = 0;
  for (const Paragraph& paragraph : paragraphs) {
    LECTERN_CHECK(paragraph.byte_begin >= last_end &&
                  paragraph.byte_end <= static_cast<int64_t>(text.size()));
    const std::string between = NormalizeSimply(text.substr(
        static_cast<size_t>(last_end), static_cast<size_t>(paragraph.byte_begin - last_end)));
    LECTERN_CHECK(between.find_first_of("abcdefghijklmnopqrstuvwxyz.") == std::string::npos ||
                  between.find("```") != std::string::npos ||
                  between.find("~~~") != std::string::npos);
    CheckParagraph(text, paragraph);
    CheckSentences(paragraph.normalized);
    last_end = paragraph.byte_end;
  }
}

}  // namespace lectern::documents
