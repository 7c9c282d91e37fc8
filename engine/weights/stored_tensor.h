#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/weights/dtype.h"

namespace lectern::weights {

// One tensor as stored, row major and little-endian; `data` points into the mapping and lives as
// long as the file object. No alignment is promised.
struct StoredTensor {
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
  int64_t num_elements() const;
};

// "[2, 3]", for messages.
std::string ShapeString(std::span<const int64_t> shape);

}  // namespace lectern::weights
