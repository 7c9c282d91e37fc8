#include "services/documents/document_keys.h"

#include <array>
#include <random>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"

namespace lectern::documents {
namespace {

constexpr std::string_view kNamePrefix = "documents/";
constexpr size_t kDocumentIdSize = 24;
constexpr size_t kNumberSize = 8;

std::string BigEndian(int64_t number) {
  LECTERN_CHECK(number >= 0);
  std::string bytes(kNumberSize, '\0');
  for (size_t i = 0; i < kNumberSize; ++i) {
    bytes[kNumberSize - 1 - i] = static_cast<char>(static_cast<uint64_t>(number) >> (8 * i));
  }
  return bytes;
}

std::string Join(std::initializer_list<std::string_view> parts) {
  std::string joined;
  for (const std::string_view part : parts) joined += part;
  return joined;
}

}  // namespace

std::string UploadKey(std::string_view upload_id) { return Join({kUploadPrefix, upload_id}); }
std::string ChunkPrefix(std::string_view upload_id) { return Join({"chunk/", upload_id, "/"}); }
std::string ChunkKey(std::string_view upload_id, int64_t offset) {
  return ChunkPrefix(upload_id) + BigEndian(offset);
}

int64_t ChunkOffset(std::string_view key) {
  LECTERN_CHECK(key.size() > kNumberSize);
  uint64_t number = 0;
  for (const char byte : key.substr(key.size() - kNumberSize)) {
    number = number << 8 | static_cast<uint8_t>(byte);
  }
  return static_cast<int64_t>(number);
}

std::string DocumentKey(std::string_view document_id) {
  return Join({kDocumentPrefix, document_id});
}
std::string TextPrefix(std::string_view document_id) {
  return Join({"doctext/", document_id, "/"});
}
std::string TextKey(std::string_view document_id, int64_t piece) {
  return TextPrefix(document_id) + BigEndian(piece);
}

std::string MakeUploadId() {
  // An id is all that is needed to write to an upload, so it must not be guessable: random_device
  // is the kernel's generator here.
  std::random_device random;
  std::array<uint8_t, 16> bytes;
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return base::ToHex(bytes);
}

std::string MakeDocumentId(std::string_view source_sha256, std::string_view mime_type) {
  base::Sha256 hash;
  hash.Update(source_sha256);
  hash.Update("\n");
  hash.Update(mime_type);
  return base::ToHex(hash.Finish()).substr(0, kDocumentIdSize);
}

std::string DocumentName(std::string_view document_id) { return Join({kNamePrefix, document_id}); }

bool IsDocumentId(std::string_view id) {
  return id.size() == kDocumentIdSize &&
         id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

absl::StatusOr<std::string> DocumentIdOf(std::string_view name) {
  if (name.substr(0, kNamePrefix.size()) == kNamePrefix &&
      IsDocumentId(name.substr(kNamePrefix.size()))) {
    return std::string(name.substr(kNamePrefix.size()));
  }
  return common::InvalidField("name", "a document's name is documents/ and 24 hex digits");
}

}  // namespace lectern::documents
