#include "services/documents/passages.h"

#include <string_view>

#include "engine/base/check.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

int64_t SourceSize(const Paragraph& paragraph, size_t begin, size_t end) {
  return SourceEnd(paragraph, end) - SourceBegin(paragraph, begin);
}

// The end of the longest beginning of [begin, end) that fits: between words, else between
// characters.
size_t CutToFit(const Paragraph& paragraph, size_t begin, size_t end, int64_t source_bytes_max) {
  const std::string_view text = paragraph.normalized;
  size_t word_end = begin;
  size_t character_end = begin;
  for (size_t at = begin + 1; at <= end; ++at) {
    if (at < text.size() && IsContinuationByte(text[at])) continue;
    if (SourceSize(paragraph, begin, at) > source_bytes_max) break;
    character_end = at;
    if (at < text.size() && text[at] == ' ') word_end = at;
  }
  return word_end > begin ? word_end : character_end;
}

size_t TrimEnd(std::string_view text, size_t begin, size_t end) {
  while (end > begin && text[end - 1] == ' ') --end;
  return end;
}

}  // namespace

int64_t SourceBegin(const Paragraph& paragraph, size_t begin) {
  LECTERN_CHECK(begin < paragraph.normalized.size());
  return paragraph.byte_begin + paragraph.byte_map[begin];
}

int64_t SourceEnd(const Paragraph& paragraph, size_t end) {
  LECTERN_CHECK(end > 0 && end <= paragraph.normalized.size());
  return paragraph.byte_begin + paragraph.byte_map[end - 1] + 1;
}

v1::Passage MakePassage(const ParsedDocument& document, int64_t begin, int64_t end) {
  LECTERN_CHECK(0 <= begin && begin < end && end <= static_cast<int64_t>(document.text.size()));
  v1::Passage passage;
  passage.set_document(document.resource.name());
  passage.set_page(document.PageOf(begin));
  passage.set_byte_begin(begin);
  passage.set_byte_end(end);
  passage.set_text(
      document.text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  return passage;
}

std::vector<ByteRange> SentenceWindows(const Paragraph& paragraph, int64_t source_bytes_max) {
  LECTERN_CHECK(source_bytes_max >= 4);  // any one character fits
  const std::string_view text = paragraph.normalized;
  if (paragraph.byte_end - paragraph.byte_begin <= source_bytes_max) {
    return {{0, static_cast<int64_t>(text.size())}};
  }
  std::vector<ByteRange> windows;
  size_t begin = 0;  // of the window that grows
  size_t end = 0;    // its end so far; == begin: empty
  const auto close = [&] {
    if (end > begin) windows.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(end)});
  };
  for (const ByteRange& sentence : SplitSentences(text)) {
    auto sentence_begin = static_cast<size_t>(sentence.begin);
    const size_t sentence_end = TrimEnd(text, sentence_begin, static_cast<size_t>(sentence.end));
    if (sentence_end == sentence_begin) continue;
    if (end > begin && SourceSize(paragraph, begin, sentence_end) <= source_bytes_max) {
      end = sentence_end;
      continue;
    }
    close();
    while (SourceSize(paragraph, sentence_begin, sentence_end) > source_bytes_max) {
      begin = sentence_begin;
      end = CutToFit(paragraph, sentence_begin, sentence_end, source_bytes_max);
      close();
      sentence_begin = end;
      while (sentence_begin < sentence_end && text[sentence_begin] == ' ') ++sentence_begin;
    }
    begin = sentence_begin;
    end = sentence_end;
  }
  close();
  return windows;
}

}  // namespace lectern::documents
