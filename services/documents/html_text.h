#pragma once

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/documents/document_store.h"

namespace lectern::documents {

// The readable text of an HTML page: the title first, block elements as paragraphs, list items as
// "- " lines, table rows as lines of cells between " | ", preformatted text as it stands; scripts,
// styles, form controls and hidden elements dropped, entities decoded. InvalidArgument: an encoding
// that is not read, or a page beyond the limits. Cancelled.
absl::StatusOr<ExtractedText> ExtractHtml(std::string_view source,
                                          const DocumentStoreOptions& options,
                                          const std::function<bool()>& cancelled);

}  // namespace lectern::documents
