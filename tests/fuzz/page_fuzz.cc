// Manifests of stored pages: any bytes are refused or decode to something that encodes to the same
// bytes. The checksum would stop nearly every mutation, so the input is also tried with a right
// one.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

#include "engine/cache/tiers/page_codec.h"

namespace {

using lectern::cache::Checksum;

void RoundTrip(const std::string& bytes) {
  const auto manifest = lectern::cache::DecodeManifest(bytes);
  if (manifest && lectern::cache::EncodeManifest(*manifest) != bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  RoundTrip(bytes);
  bytes.resize(lectern::cache::kManifestBytes);
  std::memcpy(bytes.data(), "LPAG", 4);
  const std::size_t body = bytes.size() - sizeof(Checksum);
  const auto info = lectern::cache::DescribeSegment(std::as_bytes(std::span(bytes.data(), body)));
  std::memcpy(bytes.data() + body, info.checksum.data(), info.checksum.size());
  RoundTrip(bytes);
  return 0;
}
