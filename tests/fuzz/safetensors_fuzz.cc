// Bytes from outside as a safetensors file, as a bare header and as a shard index. The first byte
// chooses, so that one corpus serves the three. Whatever parses must also be readable to its last
// byte.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/weights/float_conversion.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/safetensors_header.h"
#include "engine/weights/shard_index.h"

namespace {

void ParseWholeFile(std::span<const std::byte> bytes) {
  const auto tensors = lectern::weights::ParseSafetensors(bytes);
  if (!tensors.ok()) return;
  size_t covered = 0;
  for (const auto& [name, tensor] : *tensors) {
    covered += tensor.data.size();
    if (!lectern::weights::IsWeightDtype(tensor.dtype)) continue;
    std::vector<float> values(static_cast<size_t>(tensor.num_elements()));
    lectern::weights::WidenToFloat(tensor.dtype, tensor.data, values);
  }
  LECTERN_CHECK(covered < bytes.size());  // the data, without the header
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A heap copy of the exact size: one byte too far is seen by AddressSanitizer.
  const std::vector<uint8_t> copy(data + 1, data + size);
  const std::string_view text(reinterpret_cast<const char*>(copy.data()), copy.size());
  switch (data[0] % 3) {
    case 0:
      ParseWholeFile(std::as_bytes(std::span(copy)));
      break;
    case 1:
      (void)lectern::weights::ParseSafetensorsHeader(text).ok();
      break;
    default:
      (void)lectern::weights::ParseShardIndex(text).ok();
  }
  return 0;
}
