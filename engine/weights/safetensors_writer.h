#pragma once
// Writes safetensors files: the logits command's output, and small checkpoints in tests.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/weights/dtype.h"

namespace lectern::weights {

// `data` is row major and little-endian, and must live until it is written.
struct TensorToWrite {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

TensorToWrite F32Tensor(std::string name, std::vector<int64_t> shape,
                        std::span<const float> values);
TensorToWrite I32Tensor(std::string name, std::vector<int64_t> shape,
                        std::span<const int32_t> values);

// Length and header, padded with spaces to a multiple of 8. The data follow in the order that
// `tensors` is left in: wide dtypes first, so that every tensor is aligned, then by name. Equal
// tensors in any order give equal bytes. InvalidArgument: a name twice, or data that are not dtype
// x shape.
absl::StatusOr<std::string> SafetensorsPreamble(std::vector<TensorToWrite>& tensors);

// Writes beside `path` and renames: a reader sees the whole file or none. An existing file is
// replaced. InvalidArgument as above; Unavailable, with the system's reason, where it cannot be
// written.
absl::Status WriteSafetensors(const std::string& path, std::vector<TensorToWrite> tensors);

}  // namespace lectern::weights
