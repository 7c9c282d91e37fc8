// Bytes from outside as an HTML page: extraction ends within its limits, in clean text whose
// paragraphs hold.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "services/documents/document_store.h"
#include "services/documents/text_decoder.h"
#include "tests/services/documents/paragraph_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace documents = lectern::documents;
  const std::vector<uint8_t> copy(data, data + size);  // exactly as long as the page
  const std::string_view source(reinterpret_cast<const char*>(copy.data()), copy.size());
  documents::DocumentStoreOptions options;
  options.extractor_memory_bytes = 64 << 20;
  options.extractor_seconds = 5;
  const auto extracted = documents::ExtractText(source, "text/html", "", options, {});
  if (!extracted.ok()) {
    LECTERN_CHECK(extracted.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  LECTERN_CHECK(documents::IsValidUtf8(extracted->text));
  documents::CheckParagraphs(extracted->text, documents::SplitParagraphs(extracted->text, {}));
  return 0;
}
