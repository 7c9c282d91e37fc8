#pragma once
// Paragraphs: the unit of the prompt, of citations and of evidence.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lectern::documents {

// A paragraph of the extracted text. The prompt shows `normalized`: wrapped lines joined by single
// spaces, no line break inside. byte_map takes a byte of `normalized` back to the extracted text.
struct Paragraph {
  int64_t byte_begin = 0;  // in the extracted text, [begin, end), trimmed
  int64_t byte_end = 0;
  std::string normalized;
  // byte_map[i]: offset in the extracted text of normalized[i]; size normalized.size() + 1, last =
  // byte_end.
  std::vector<int32_t> byte_map;  // relative to byte_begin
};

// Blank lines, page breaks, list items, headings, table lines and gaps of 64 bytes of space end a
// paragraph; so does a short last line where no blank line follows, as in the text of PDFs. A
// sentence that a page break interrupts goes on: its paragraph belongs to the page where it begins.
// Lines without a word (----, ====, |---|) belong to none. Words hyphenated over a line break stay
// as they are; runs of space become one space, invisible characters (soft hyphen, zero-width space)
// go. Paragraphs longer than 2,000 bytes are cut at a sentence end, so that none is unbounded.
// Deterministic: part of the prompt layout's version. text: valid UTF-8, as extraction leaves it.
std::vector<Paragraph> SplitParagraphs(std::string_view text,
                                       const std::vector<int64_t>& page_begins);

// Sentence ranges of a paragraph's normalized text, [begin, end) bytes, covering it; used for
// evidence windows.
struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;
};
std::vector<ByteRange> SplitSentences(std::string_view normalized);

}  // namespace lectern::documents
