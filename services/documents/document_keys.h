#pragma once
// The key scheme of storage.md, and the names and ids that go with it.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace lectern::documents {

inline constexpr std::string_view kUploadPrefix = "upload/";
inline constexpr std::string_view kDocumentPrefix = "doc/";

std::string UploadKey(std::string_view upload_id);
// All chunks of an upload begin with it.
std::string ChunkPrefix(std::string_view upload_id);
std::string ChunkKey(std::string_view upload_id, int64_t offset);
// The offset in a ChunkKey.
int64_t ChunkOffset(std::string_view key);

std::string DocumentKey(std::string_view document_id);
std::string TextPrefix(std::string_view document_id);
std::string TextKey(std::string_view document_id, int64_t piece);

std::string MakeUploadId();
std::string MakeDocumentId(std::string_view source_sha256, std::string_view mime_type);
std::string DocumentName(std::string_view document_id);
bool IsDocumentId(std::string_view id);
// The id of "documents/{id}". InvalidArgument: not such a name.
absl::StatusOr<std::string> DocumentIdOf(std::string_view name);

}  // namespace lectern::documents
