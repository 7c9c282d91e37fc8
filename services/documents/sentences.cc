// Sentences by punctuation. Errors here cost the shape of an evidence window, never a wrong
// citation.

#include <array>
#include <string>

#include "services/documents/paragraphs.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

// Lower-cased words whose full stop does not end a sentence.
constexpr std::array<std::string_view, 24> kAbbreviations = {
    "mr",  "mrs",  "ms", "dr",  "prof", "st", "vs",  "cf", "al", "e.g", "i.e",  "approx",
    "fig", "figs", "no", "nos", "sec",  "eq", "vol", "ch", "pp", "ref", "resp", "ca"};

size_t MatchAny(std::string_view text, size_t offset,
                std::initializer_list<std::string_view> marks) {
  for (const std::string_view mark : marks) {
    if (text.substr(offset, mark.size()) == mark) return mark.size();
  }
  return 0;
}

size_t SkipClosing(std::string_view text, size_t at) {
  while (at < text.size()) {
    const size_t length =
        MatchAny(text, at, {"\"", "'", ")", "]", "”", "’", "»", "」", "』", "）"});
    if (length == 0) break;
    at += length;
  }
  return at;
}

// The full stop at `stop` belongs to an abbreviation, an initial or the number that opens a list
// item.
bool IsAbbreviation(std::string_view text, size_t stop) {
  size_t begin = stop;
  // Longer words are no abbreviations; the bound keeps text without spaces linear.
  while (begin > 0 && stop - begin < 12 && (IsAsciiWord(text[begin - 1]) || text[begin - 1] == '.'))
    --begin;
  const std::string_view word = text.substr(begin, stop - begin);
  if (word.empty()) return false;
  if (word.size() == 1 && IsAsciiUpper(word[0])) return true;
  if (begin == 0 && word.find_first_not_of("0123456789.") == std::string_view::npos) return true;
  const std::string lower = AsciiToLower(word);
  for (const std::string_view abbreviation : kAbbreviations) {
    if (lower == abbreviation) return true;
  }
  return false;
}

// The end of the sentence whose last mark begins at `at` (its spaces included), 0 where none ends
// there.
size_t SentenceEnd(std::string_view text, size_t at) {
  const size_t wide = MatchAny(text, at, {"。", "！", "？"});
  if (wide > 0) {
    const size_t end = SkipClosing(text, at + wide);
    return end < text.size() && text[end] == ' ' ? end + 1 : end;
  }
  const size_t mark = MatchAny(text, at, {".", "!", "?", "…"});
  if (mark == 0) return 0;
  const size_t end = SkipClosing(text, at + mark);
  if (end == text.size()) return end;
  if (text[end] != ' ') return 0;
  if (end + 1 < text.size() && IsAsciiLower(text[end + 1])) return 0;
  if (text[at] == '.' && IsAbbreviation(text, at)) return 0;
  return end + 1;
}

}  // namespace

std::vector<ByteRange> SplitSentences(std::string_view normalized) {
  std::vector<ByteRange> ranges;
  size_t begin = 0;
  for (size_t at = 0; at < normalized.size();) {
    const size_t end = SentenceEnd(normalized, at);
    if (end == 0) {
      ++at;
      continue;
    }
    ranges.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(end)});
    begin = at = end;
  }
  if (begin < normalized.size()) {
    ranges.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(normalized.size())});
  }
  return ranges;
}

}  // namespace lectern::documents
