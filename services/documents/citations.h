#pragma once
// Evidence that resolves: quotes of an answer found in the documents, and passages ranked by what
// the Full layers selected while the answer was written.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lectern/v1/resources.pb.h"
#include "services/documents/document_store.h"

namespace lectern::documents {

// One paragraph as the prompt shows it: `number` runs on across documents from 1.
struct PlacedParagraph {
  int number = 0;
  int document = 0;   // index into the documents of the prompt
  int paragraph = 0;  // index into ParsedDocument::paragraphs
};

using DocumentList = std::span<const std::shared_ptr<const ParsedDocument>>;

// Locates `quote` (normalized text, without marker): first in the paragraphs whose numbers the
// answer names, then in all placed ones, whitespace-insensitively; a quote of several sentences may
// span adjacent paragraphs; where the whole does not stand anywhere, each of its sentences is
// tried. Every passage returned is exact: text == extracted bytes. An empty result means that
// nothing of the quote stands in the documents.
std::vector<v1::Passage> FindQuote(DocumentList documents, std::span<const PlacedParagraph> placed,
                                   std::span<const int> named_paragraphs, std::string_view quote);

// Where a paragraph's text stands in the prompt, and the bytes of each of its tokens.
struct ParagraphTokens {
  int64_t token_begin = 0;  // in the prompt
  std::vector<int32_t>
      token_byte_begins;  // per token: offset in Paragraph::normalized; one more entry at the end
};

// Passages of at most 600 bytes that do not overlap (paragraphs; longer ones in sentence windows),
// scored by the share of selections in them over their share under uniform choice among `counts`.
// Best first, ties by position, at most `limit`. counts: selections per prompt position, as
// Finished::selection_counts.
std::vector<v1::Passage> RankEvidence(DocumentList documents,
                                      std::span<const PlacedParagraph> placed,
                                      std::span<const ParagraphTokens> tokens,
                                      std::span<const uint32_t> counts, int limit);

}  // namespace lectern::documents
