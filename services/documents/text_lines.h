#pragma once
// Lines of extracted text and what their look says: the evidence on which paragraphs are split.

#include <cstdint>
#include <string_view>
#include <vector>

namespace lectern::documents {

// Widths and indents count characters.
struct TextLine {
  int64_t begin = 0;  // trimmed range; empty for a blank line
  int64_t end = 0;
  int page = 0;  // index
  int indent = 0;
  int width = 0;
  int first_word_width = 0;
  bool rule = false;  // ----, ====, |---|---|, ``` and other lines without a word: ends a
                      // paragraph, belongs to none
  bool wide_gap_before = false;  // split off the line before by a gap in one line of the source
  bool after_line_break =
      false;  // not so at the text's begin, behind a wide gap and where a page begins inside a line
  bool bullet = false;
  bool numbered = false;       // "3.", "(b)", "IV)" or a section number
  bool heading = false;        // Markdown, section number with a title, "Chapter 3"
  bool table = false;          // cells, or leader dots
  bool ends_sentence = false;  // . ! ? : … and closing marks after them
  bool ends_open = false;      // a comma, hyphen, opening mark: the sentence goes on
  bool starts_lower = false;
  bool starts_upper = false;  // upper-case letter or digit

  bool blank() const { return begin == end; }
};

// Reads lines one after another without holding them all: a text may have millions.
class TextLineReader {
 public:
  // Both must outlive the reader. page_begins ascending.
  TextLineReader(std::string_view text, const std::vector<int64_t>& page_begins);
  // False at the end of the text.
  bool Next(TextLine* line);

 private:
  int PageAt(int64_t offset);

  std::string_view text_;
  const std::vector<int64_t>& page_begins_;
  int64_t position_ = 0;
  int page_ = 0;
  bool after_wide_gap_ = false;
};

}  // namespace lectern::documents
