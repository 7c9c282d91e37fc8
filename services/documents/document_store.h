#pragma once
// Documents from the first uploaded byte to their paragraphs: resumable uploads, extraction,
// durable storage.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "lectern/v1/resources.pb.h"
#include "lectern/v1/services.pb.h"
#include "services/documents/paragraphs.h"
#include "services/state/state_store.h"

namespace lectern::documents {

// A document as the prompt layout and the evidence need it. Immutable; shared between jobs.
struct ParsedDocument {
  v1::Document resource;
  std::string text;                  // extracted UTF-8; what every byte range refers to
  std::vector<int64_t> page_begins;  // byte offset of each page; empty where unpaged
  std::vector<Paragraph> paragraphs;
  // 1-based page of a byte offset; 0 where unpaged.
  int PageOf(int64_t byte) const;
};

struct DocumentStoreOptions {
  int64_t source_bytes_max = 256LL << 20;
  int64_t text_bytes_max = 64LL << 20;
  int64_t chunk_bytes_max = 1LL << 20;
  // Limits of the pdftotext child process.
  int64_t extractor_memory_bytes = 1LL << 30;
  int extractor_seconds = 60;
  std::string pdftotext = "pdftotext";
  // Bounds on uploads that have begun and not ended: their number, their bytes together, and how
  // long they wait.
  int64_t pending_uploads_max = 1024;
  int64_t pending_upload_bytes_max = 1LL << 30;
  int64_t upload_seconds_max = 24 * 3600;
  // Parsed documents that are kept in memory between jobs.
  int64_t cache_bytes_max = 256LL << 20;
};

// Thread safe. Extraction runs on the caller's thread (a worker thread of the front end, never an
// RPC thread).
class DocumentStore {
 public:
  virtual ~DocumentStore() = default;
  static absl::StatusOr<std::unique_ptr<DocumentStore>> Create(state::StateStore& state,
                                                               const base::Clock& clock,
                                                               const DocumentStoreOptions& options);

  virtual absl::StatusOr<v1::StartUploadResponse> StartUpload(
      const v1::StartUploadRequest& request) = 0;
  // Durable (synced) when it returns. OutOfRange: offset is not the committed size (metadata says
  // which). DataLoss: crc32c disagrees; nothing is stored.
  virtual absl::Status AppendChunk(const std::string& upload_id,
                                   const v1::UploadRequest::Chunk& chunk) = 0;
  virtual absl::StatusOr<v1::QueryUploadResponse> QueryUpload(
      const std::string& upload_id) const = 0;
  // Checks size and SHA-256, extracts, splits, stores. Equal content under equal type gives the
  // existing document. Idempotent after success. InvalidArgument: unreadable, encrypted or empty
  // document; nothing is stored. `cancelled` is polled: a cancelled ingest stops within a second
  // and leaves the upload resumable.
  virtual absl::StatusOr<v1::Document> FinishUpload(const std::string& upload_id,
                                                    const v1::UploadRequest::Finish& finish,
                                                    const std::function<bool()>& cancelled) = 0;

  virtual absl::StatusOr<v1::Document> Get(const std::string& name) const = 0;
  virtual absl::StatusOr<v1::ListDocumentsResponse> List(
      const v1::ListDocumentsRequest& request) const = 0;
  virtual absl::Status Delete(const std::string& name) = 0;
  // With text and paragraphs, through a bounded cache.
  virtual absl::StatusOr<std::shared_ptr<const ParsedDocument>> Load(
      const std::string& name) const = 0;
  virtual int64_t Count() const = 0;
};

// What became of source bytes: text in UTF-8 with page offsets. Free of state: also behind `lectern
// doc text FILE` and the fuzz targets. mime_type as in v1::Document; empty means guess from name
// and bytes.
struct ExtractedText {
  std::string mime_type;
  std::string text;
  std::vector<int64_t> page_begins;
};
absl::StatusOr<ExtractedText> ExtractText(std::string_view source, std::string_view mime_type,
                                          std::string_view name,
                                          const DocumentStoreOptions& options,
                                          const std::function<bool()>& cancelled);

}  // namespace lectern::documents
