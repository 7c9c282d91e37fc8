#include "services/documents/text_lines.h"

#include <algorithm>
#include <array>
#include <string>

#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

// A gap this wide inside a line is layout, not a word space. It also bounds how many source bytes a
// paragraph's normalized byte can stand for.
constexpr int64_t kWideGapBytes = 64;

constexpr std::array<std::string_view, 12> kBullets = {"-", "*", "+", "•", "◦", "▪",
                                                       "–", "—", "‣", "●", "○", "■"};

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// The bytes of `text` up to its first space.
std::string_view FirstWord(std::string_view text) {
  return text.substr(0, text.find_first_of(" \t"));
}

bool IsBullet(std::string_view word) {
  for (const std::string_view bullet : kBullets) {
    if (word == bullet) return true;
  }
  return false;
}

// "3." "12)" "(4)" "b)" "(iv)" "A."
bool IsItemNumber(std::string_view word) {
  const bool opened = StartsWith(word, "(");
  if (opened) word.remove_prefix(1);
  if (word.size() < 2 || word.size() > 5) return false;
  const char close = word.back();
  if (close != ')' && (opened || close != '.')) return false;
  word.remove_suffix(1);
  if (word.find_first_not_of("0123456789") == std::string_view::npos) return word.size() <= 3;
  if (word.size() == 1) return IsAsciiLetter(word[0]);
  return word.find_first_not_of("ivxIVX") == std::string_view::npos;
}

// "7.1" "7.1.2." : at least two levels, each of at most three digits.
bool IsSectionNumber(std::string_view word) {
  if (!word.empty() && word.back() == '.') word.remove_suffix(1);
  int levels = 0;
  while (!word.empty()) {
    const size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
    if (digits == 0 || digits > 3) return false;
    ++levels;
    word.remove_prefix(digits);
    if (word.empty()) break;
    if (word[0] != '.' || word.size() == 1) return false;
    word.remove_prefix(1);
  }
  return levels >= 2;
}

bool IsRule(std::string_view body) {
  if (StartsWith(body, "```") || StartsWith(body, "~~~"))
    return body.find_first_of("`~", 3) == std::string_view::npos;
  return body.size() >= 3 && body.find_first_not_of("-=*_~#+|: ") == std::string_view::npos;
}

bool IsTableLine(std::string_view body) {
  if (body.size() > 1 && (body.front() == '|' || body.find(" | ") != std::string_view::npos))
    return true;
  if (body.find(". . . .") != std::string_view::npos ||
      body.find(".....") != std::string_view::npos)
    return true;
  int gaps = 0;  // runs of a tab or of three and more spaces
  for (size_t i = 0; i < body.size();) {
    if (body[i] != ' ' && body[i] != '\t') {
      ++i;
      continue;
    }
    const size_t end = std::min(body.find_first_not_of(" \t", i), body.size());
    gaps += end - i >= 3 || body.substr(i, end - i).find('\t') != std::string_view::npos;
    i = end;
  }
  return gaps >= 2;
}

bool IsHeading(std::string_view body, const TextLine& line) {
  if (body[0] == '#') {
    const size_t hashes = body.find_first_not_of('#');
    return hashes != std::string_view::npos && hashes <= 6 && body[hashes] == ' ';
  }
  if (line.width > 90 || line.ends_sentence || line.ends_open) return false;
  const std::string_view word = FirstWord(body);
  const size_t after = body.find_first_not_of(" \t", word.size());
  if (after == std::string_view::npos) return false;
  const bool titled = IsAsciiUpper(body[after]) || static_cast<unsigned char>(body[after]) >= 0x80;
  if (IsSectionNumber(word) && titled) return true;
  const bool part = word == "Chapter" || word == "CHAPTER" || word == "Appendix" ||
                    word == "Part" || word == "Section";
  return part && (IsAsciiDigit(body[after]) || (titled && body.size() == after + 1)) &&
         line.width < 60;
}

void ClassifyEnd(std::string_view body, TextLine& line) {
  // Closing marks may stand after the full stop: ." .) .” .’ .»
  constexpr std::array<std::string_view, 7> kClosing = {"\"", "'", ")", "]", "”", "’", "»"};
  bool closed = true;
  while (closed) {
    closed = false;
    for (const std::string_view mark : kClosing) {
      if (body.size() > mark.size() && body.substr(body.size() - mark.size()) == mark) {
        body.remove_suffix(mark.size());
        closed = true;
      }
    }
  }
  for (const std::string_view mark : {".", "!", "?", ":", "…", "。", "！", "？"}) {
    line.ends_sentence |=
        body.size() >= mark.size() && body.substr(body.size() - mark.size()) == mark;
  }
  for (const std::string_view mark : {",", ";", "-", "(", "[", "–", "—", "/", "&"}) {
    line.ends_open |= body.size() >= mark.size() && body.substr(body.size() - mark.size()) == mark;
  }
}

void ClassifyStart(std::string_view body, TextLine& line) {
  const size_t letter = body.find_first_not_of("\"'([");
  if (letter == std::string_view::npos) return;
  line.starts_lower = IsAsciiLower(body[letter]);
  line.starts_upper = IsAsciiUpper(body[letter]) || IsAsciiDigit(body[letter]);
}

int CountCharacters(std::string_view text) {
  int64_t count = 0;
  for (const char byte : text) count += !IsContinuationByte(byte);
  return static_cast<int>(std::min<int64_t>(count, 1 << 30));
}

void Classify(std::string_view body, TextLine& line) {
  line.width = CountCharacters(body);
  const std::string_view word = FirstWord(body);
  line.first_word_width = CountCharacters(word);
  line.rule = IsRule(body);
  ClassifyEnd(body, line);
  ClassifyStart(body, line);
  const bool more = word.size() < body.size();
  line.bullet = more && IsBullet(word);
  line.numbered = more && (IsItemNumber(word) || IsSectionNumber(word));
  line.heading = IsHeading(body, line);
  line.table = IsTableLine(body);
}

}  // namespace

TextLineReader::TextLineReader(std::string_view text, const std::vector<int64_t>& page_begins)
    : text_(text), page_begins_(page_begins) {}

int TextLineReader::PageAt(int64_t offset) {
  while (static_cast<size_t>(page_) + 1 < page_begins_.size() &&
         page_begins_[static_cast<size_t>(page_) + 1] <= offset) {
    ++page_;
  }
  return page_;
}

bool TextLineReader::Next(TextLine* line) {
  const auto size = static_cast<int64_t>(text_.size());
  if (position_ >= size) return false;
  *line = TextLine{};
  line->wide_gap_before = after_wide_gap_;
  after_wide_gap_ = false;
  const char before = position_ > 0 ? text_[static_cast<size_t>(position_) - 1] : '\0';
  line->after_line_break = before == '\n' || before == '\f';
  // A page border inside a line ends the line too: extraction puts one at line breaks, other
  // callers may not.
  line->page = PageAt(position_);
  int64_t limit = size;
  if (static_cast<size_t>(page_) + 1 < page_begins_.size()) {
    limit = std::min(limit, page_begins_[static_cast<size_t>(page_) + 1]);
  }
  bool any = false;
  int64_t gap = 0;  // bytes of space since the last visible character
  int64_t at = position_;
  bool is_space = false;
  for (; at < limit; ++at) {
    const char byte = text_[static_cast<size_t>(at)];
    if (byte == '\n' || byte == '\f') break;
    const int space = SpaceOrInvisibleLength(text_, static_cast<size_t>(at), &is_space);
    if (space > 0) {
      gap += space;
      if (!any) ++line->indent;
      at += space - 1;
      continue;
    }
    if (any && gap >= kWideGapBytes) {
      after_wide_gap_ = true;
      break;
    }
    if (!any) line->begin = at;
    any = true;
    gap = 0;
    while (at + 1 < limit && IsContinuationByte(text_[static_cast<size_t>(at) + 1])) ++at;
    line->end = at + 1;
  }
  const bool at_break = at < limit && !after_wide_gap_;
  position_ = at + (at_break ? 1 : 0);
  if (!any) line->begin = line->end = position_;
  if (any)
    Classify(text_.substr(static_cast<size_t>(line->begin),
                          static_cast<size_t>(line->end - line->begin)),
             *line);
  return true;
}

}  // namespace lectern::documents
