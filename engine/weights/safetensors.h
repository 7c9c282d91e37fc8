#pragma once
// One safetensors file: u64 little-endian header length n, n bytes of JSON, then the tensors'
// bytes. Source: the format's description in the safetensors repository; bounds of its reference
// reader, and two more of ours (tensors a file, rank), since a header is data from outside.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/weights/stored_tensor.h"

namespace lectern::weights {

inline constexpr int64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxTensorsPerFile = 65'536;
inline constexpr size_t kMaxRank = 16;

// By name; less<> so that a string_view finds.
using TensorMap = std::map<std::string, StoredTensor, std::less<>>;

// The tensors of a whole file's bytes, views into `file`. InvalidArgument says what is wrong and
// names the tensor: header cut off or over kMaxHeaderBytes, not an object, JSON faults, a name or
// field twice, unknown dtypes or fields, products that overflow, sizes that disagree with dtype x
// shape, gaps, overlaps, bytes that no tensor covers. Needs memory in proportion to the number of
// tensors alone.
absl::StatusOr<TensorMap> ParseSafetensors(std::span<const std::byte> file);

// A file mapped read-only. Immutable: any thread may read.
class SafetensorsFile {
 public:
  // NotFound: no such file. InvalidArgument: as ParseSafetensors, or not a regular file. All name
  // `path`.
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const TensorMap& tensors() const { return tensors_; }
  // NotFound names the tensor and the file.
  absl::StatusOr<StoredTensor> Find(std::string_view name) const;
  const std::string& path() const { return path_; }

 private:
  SafetensorsFile(std::string path, std::span<const std::byte> mapping);

  std::string path_;
  std::span<const std::byte> mapping_;
  TensorMap tensors_;
};

}  // namespace lectern::weights
