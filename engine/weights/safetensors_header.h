#pragma once
// The JSON header of a safetensors file, alone: names, dtypes, shapes, offsets, as they stand
// there.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/weights/dtype.h"

namespace lectern::weights {

struct HeaderEntry {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;  // extents >= 0
  int64_t begin = 0;           // data_offsets, relative to the first byte of data
  int64_t end = 0;
};

// Entries in the order of the header; `__metadata__` is checked and dropped. Read event by event,
// so that a header of 100 MB costs no tree of JSON values. Offsets are not compared with anything
// here.
absl::StatusOr<std::vector<HeaderEntry>> ParseSafetensorsHeader(std::string_view header);

}  // namespace lectern::weights
