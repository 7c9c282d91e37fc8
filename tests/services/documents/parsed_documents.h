#pragma once
// Documents as the store would load them, without a store.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/documents/citations.h"
#include "services/documents/document_store.h"

namespace lectern::documents {

inline std::shared_ptr<const ParsedDocument> MakeParsed(std::string name, std::string text,
                                                        std::vector<int64_t> page_begins = {}) {
  auto document = std::make_shared<ParsedDocument>();
  document->resource.set_name("documents/" + name);
  document->text = std::move(text);
  document->page_begins = std::move(page_begins);
  document->paragraphs = SplitParagraphs(document->text, document->page_begins);
  return document;
}

// Every paragraph of every document, numbered from 1.
inline std::vector<PlacedParagraph> PlaceAll(DocumentList documents) {
  std::vector<PlacedParagraph> placed;
  for (size_t d = 0; d < documents.size(); ++d) {
    for (size_t p = 0; p < documents[d]->paragraphs.size(); ++p) {
      placed.push_back(
          {static_cast<int>(placed.size()) + 1, static_cast<int>(d), static_cast<int>(p)});
    }
  }
  return placed;
}

}  // namespace lectern::documents
