#pragma once
// Beyond a model's reach: which paragraphs of long documents to read for a question.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/documents/citations.h"

namespace lectern::documents {

struct ExcerptRequest {
  DocumentList documents;
  std::string_view question;
  int64_t token_budget = 0;
  // Tokens of each paragraph as the prompt lays it out, per document.
  std::span<const std::vector<int32_t>> paragraph_tokens;
};

// Paragraphs chosen by BM25 (SQLite FTS5, in memory, unicode61 folding + porter), each with its
// neighbours and nearest heading while the budget lasts, in document order, keeping their
// whole-document numbers. Never empty where the budget holds one paragraph: without a lexical hit,
// the beginnings of the documents.
absl::StatusOr<std::vector<PlacedParagraph>> ChooseExcerpt(const ExcerptRequest& request);

}  // namespace lectern::documents
