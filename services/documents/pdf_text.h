#pragma once

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/documents/document_store.h"

namespace lectern::documents {

// The text layer of a PDF in reading order through poppler's pdftotext, run as a limited child
// process. The form feed at the end of each page becomes a line break, and page_begins says where
// it was. Typographic ligatures become letters. InvalidArgument: damaged, encrypted, empty, without
// a text layer, or beyond the limits; the message says which. FailedPrecondition: pdftotext is not
// installed. Cancelled.
absl::StatusOr<ExtractedText> ExtractPdf(std::string_view source,
                                         const DocumentStoreOptions& options,
                                         const std::function<bool()>& cancelled);

}  // namespace lectern::documents
