#include "services/documents/paragraphs.h"

#include <algorithm>
#include <cstddef>

#include "services/documents/text_lines.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

constexpr size_t kParagraphBytesMax = 2000;
// A cut nearer to the beginning than this would leave crumbs; a space further on is better.
constexpr size_t kCutBytesMin = 200;
// Lines that are looked at together. Text without blank lines for longer than this is cut there.
constexpr size_t kBlockLinesMax = 512;
// A line wider than this was not wrapped, so its end is a paragraph's end.
constexpr int kUnwrappedWidth = 240;

// Joins source ranges into normalized paragraphs and cuts what grows too long.
class ParagraphBuilder {
 public:
  ParagraphBuilder(std::string_view text, std::vector<Paragraph>& out) : text_(text), out_(out) {}

  // Adds [begin, end) of the text, after a space if something came before. Trimmed at both ends.
  void Append(int64_t begin, int64_t end) {
    if (!normalized_.empty()) PutSpace(last_end_);
    for (int64_t at = begin; at < end;) {
      bool is_space = false;
      const int space = SpaceOrInvisibleLength(text_, static_cast<size_t>(at), &is_space);
      if (space > 0) {
        if (is_space) PutSpace(at);
        at += space;
        continue;
      }
      // Whole characters, so that a cut never falls inside one.
      do {
        Put(text_[static_cast<size_t>(at)], at);
        ++at;
      } while (at < end && IsContinuationByte(text_[static_cast<size_t>(at)]));
      last_end_ = at;
      if (normalized_.size() > kParagraphBytesMax) Cut();
    }
  }

  void Finish() {
    Emit(normalized_.size());
    normalized_.clear();
    offsets_.clear();
  }

 private:
  void Put(char byte, int64_t offset) {
    normalized_.push_back(byte);
    offsets_.push_back(offset);
  }
  void PutSpace(int64_t offset) {
    if (!normalized_.empty() && normalized_.back() != ' ') Put(' ', offset);
  }

  // Emits the longest beginning that ends a sentence, else a word, else a character.
  void Cut() {
    const std::string_view window = std::string_view(normalized_).substr(0, kParagraphBytesMax);
    size_t cut = 0;
    for (const ByteRange& sentence : SplitSentences(normalized_)) {
      const auto end = static_cast<size_t>(sentence.end);
      if (end <= kParagraphBytesMax) cut = end;
    }
    if (cut < kCutBytesMin) {
      const size_t space = window.rfind(' ');
      cut = space == std::string_view::npos || space < kCutBytesMin ? 0 : space + 1;
    }
    if (cut == 0) cut = CharacterBorderAtOrBefore(normalized_, kParagraphBytesMax);
    Emit(cut);
    if (cut < normalized_.size() && normalized_[cut] == ' ') ++cut;
    normalized_.erase(0, cut);
    offsets_.erase(offsets_.begin(), offsets_.begin() + static_cast<ptrdiff_t>(cut));
  }

  // The first `size` bytes as a paragraph, without spaces at its end.
  void Emit(size_t size) {
    while (size > 0 && normalized_[size - 1] == ' ') --size;
    if (size == 0) return;
    Paragraph paragraph;
    paragraph.byte_begin = offsets_[0];
    paragraph.byte_end = offsets_[size - 1] + 1;
    paragraph.normalized = normalized_.substr(0, size);
    paragraph.byte_map.reserve(size + 1);
    for (size_t i = 0; i < size; ++i) {
      paragraph.byte_map.push_back(static_cast<int32_t>(offsets_[i] - paragraph.byte_begin));
    }
    paragraph.byte_map.push_back(static_cast<int32_t>(paragraph.byte_end - paragraph.byte_begin));
    out_.push_back(std::move(paragraph));
  }

  std::string_view text_;
  std::vector<Paragraph>& out_;
  std::string normalized_;
  std::vector<int64_t> offsets_;  // per byte of normalized_
  int64_t last_end_ = 0;
};

// A run of lines without a blank one, on one page.
struct Block {
  std::vector<TextLine> lines;
  bool after_rule = false;  // a rule stands between this block and the one before
  int usual_width = 0;      // of a full line
  bool sentence_per_line = false;

  void Measure() {
    std::vector<int> widths;
    size_t sentences = 0;
    for (const TextLine& line : lines) {
      widths.push_back(line.width);
      sentences += line.ends_sentence;
    }
    const size_t rank = widths.size() < 4 ? widths.size() - 1 : widths.size() * 9 / 10;
    std::nth_element(widths.begin(), widths.begin() + static_cast<ptrdiff_t>(rank), widths.end());
    usual_width = widths[rank];
    // In wrapped prose few lines happen to end with their sentence.
    sentence_per_line = lines.size() >= 2 && sentences * 5 >= lines.size() * 4;
  }
};

bool IsShort(const TextLine& line, int usual_width, double share) {
  return line.width < static_cast<int>(share * usual_width);
}

// `above` looks like a title over `below`: short, unfinished, and the next line starts anew.
bool LooksLikeTitle(const TextLine& above, const TextLine& below, int usual_width) {
  return !above.ends_sentence && !above.ends_open && above.starts_upper && below.starts_upper &&
         above.width <= 80 && IsShort(above, usual_width, 0.6) && below.width > above.width;
}

// Whether a paragraph ends between two neighbouring lines of a block. `opening`: `above` is its
// paragraph's first line.
bool EndsBetween(const TextLine& above, const TextLine& below, bool opening, const Block& block) {
  if (below.wide_gap_before || below.bullet) return true;
  if (above.heading || above.table || below.table) return true;
  if (below.heading && !below.numbered) return true;
  // A number in the middle of a sentence may begin a line too.
  const bool finished = above.ends_sentence || IsShort(above, block.usual_width, 0.8);
  if (below.numbered && (finished || above.numbered)) return true;
  if (above.ends_sentence && !below.starts_lower) {
    if (block.sentence_per_line || above.width > kUnwrappedWidth) return true;
    if (below.indent >= above.indent + 2 && !above.bullet && !above.numbered) return true;
    // The next word would have fit: the line was ended on purpose. Widths of proportional type vary
    // by some 15 %.
    if (above.width + 1 + below.first_word_width < static_cast<int>(0.85 * block.usual_width))
      return true;
  }
  return opening && LooksLikeTitle(above, below, block.usual_width);
}

// A sentence that a page break interrupts: the paragraph goes on.
bool ContinuesOverPage(const Block& before, const Block& after) {
  const TextLine& last = before.lines.back();
  const TextLine& first = after.lines.front();
  return first.page == last.page + 1 && first.after_line_break && !after.after_rule &&
         first.starts_lower && !last.ends_sentence && !last.heading && !last.table &&
         !first.table && !first.bullet && !first.numbered && last.width >= 30 &&
         !IsShort(last, before.usual_width, 0.7);
}

// Reads the next block; false at the end of the text. `pending` holds a line read ahead.
class BlockReader {
 public:
  BlockReader(std::string_view text, const std::vector<int64_t>& page_begins)
      : lines_(text, page_begins) {
    more_ = lines_.Next(&ahead_);
  }

  bool Next(Block* block) {
    *block = Block{};
    while (more_ && (ahead_.blank() || ahead_.rule)) {
      block->after_rule |= ahead_.rule;
      more_ = lines_.Next(&ahead_);
    }
    while (more_ && !ahead_.blank() && !ahead_.rule && block->lines.size() < kBlockLinesMax &&
           (block->lines.empty() || ahead_.page == block->lines.back().page)) {
      block->lines.push_back(ahead_);
      more_ = lines_.Next(&ahead_);
    }
    if (block->lines.empty()) return false;
    block->Measure();
    return true;
  }

 private:
  TextLineReader lines_;
  TextLine ahead_;
  bool more_ = false;
};

}  // namespace

std::vector<Paragraph> SplitParagraphs(std::string_view text,
                                       const std::vector<int64_t>& page_begins) {
  std::vector<Paragraph> paragraphs;
  ParagraphBuilder builder(text, paragraphs);
  BlockReader reader(text, page_begins);
  Block before;
  Block block;
  while (reader.Next(&block)) {
    if (!before.lines.empty() && !ContinuesOverPage(before, block)) builder.Finish();
    bool opening = true;
    for (size_t i = 0; i < block.lines.size(); ++i) {
      if (i > 0) {
        const bool ends = EndsBetween(block.lines[i - 1], block.lines[i], opening, block);
        if (ends) builder.Finish();
        opening = ends;
      }
      builder.Append(block.lines[i].begin, block.lines[i].end);
    }
    std::swap(before, block);
  }
  builder.Finish();
  return paragraphs;
}

}  // namespace lectern::documents
