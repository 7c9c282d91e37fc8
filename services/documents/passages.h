#pragma once
// From ranges of normalized text to passages of the extracted text.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lectern/v1/resources.pb.h"
#include "services/documents/document_store.h"
#include "services/documents/paragraphs.h"

namespace lectern::documents {

// Offsets in the extracted text of a range of `normalized`. SourceEnd takes the end of a range that
// does not end with a space: one behind its last character, so that the gap behind it does not
// belong to it.
int64_t SourceBegin(const Paragraph& paragraph, size_t begin);
int64_t SourceEnd(const Paragraph& paragraph, size_t end);

// The passage [begin, end) of the document, with its page and its exact bytes.
v1::Passage MakePassage(const ParsedDocument& document, int64_t begin, int64_t end);

// Ranges of `normalized` that do not overlap, each of at most `source_bytes_max` bytes of extracted
// text: the whole paragraph, or windows of whole sentences; a longer sentence is cut between words.
// In order; spaces between belong to none.
std::vector<ByteRange> SentenceWindows(const Paragraph& paragraph, int64_t source_bytes_max);

}  // namespace lectern::documents
