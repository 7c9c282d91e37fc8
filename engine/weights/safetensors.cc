#include "engine/weights/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"
#include "engine/weights/safetensors_header.h"

namespace lectern::weights {
namespace {

using config::Quoted;

constexpr size_t kLengthBytes = 8;

// Element bytes of `entry`, or an error where the product leaves int64.
absl::StatusOr<int64_t> BytesOf(const HeaderEntry& entry) {
  int64_t bytes = DtypeBytes(entry.dtype);
  for (const int64_t extent : entry.shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", Quoted(entry.name), ": shape ",
                                                     ShapeString(entry.shape), " overflows"));
    }
  }
  return bytes;
}

absl::Status CheckExtents(const std::vector<HeaderEntry>& entries, int64_t data_bytes) {
  for (const HeaderEntry& entry : entries) {
    if (entry.begin > entry.end || entry.end > data_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", Quoted(entry.name), ": data_offsets [", entry.begin, ", ",
                       entry.end, "] lie outside the ", data_bytes, " bytes of data"));
    }
    ASSIGN_OR_RETURN(const int64_t bytes, BytesOf(entry));
    if (bytes != entry.end - entry.begin) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", Quoted(entry.name), ": ",
                                                     entry.end - entry.begin, " bytes, but shape ",
                                                     ShapeString(entry.shape), " needs ", bytes));
    }
  }
  return absl::OkStatus();
}

// Every byte of data belongs to exactly one tensor. Leaves `entries` in the order of the data.
absl::Status CheckCoverage(std::vector<HeaderEntry>& entries, int64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t covered = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != covered) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", Quoted(entry.name), ": data begins at ", entry.begin, ", ",
          entry.begin < covered ? "inside the tensor before it, which ends at "
                                : "leaving a gap after the tensor before it, which ends at ",
          covered));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tensors cover ", covered, " of ", data_bytes, " bytes of data"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> HeaderLength(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("cut off: ", file.size(), " bytes hold no header length"));
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > static_cast<uint64_t>(kMaxHeaderBytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("header of ", length, " bytes, more than the ", kMaxHeaderBytes, " allowed"));
  }
  if (length > file.size() - kLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("cut off: header of ", length, " bytes in a file of ", file.size(), " bytes"));
  }
  return static_cast<int64_t>(length);
}

}  // namespace

absl::StatusOr<TensorMap> ParseSafetensors(std::span<const std::byte> file) {
  ASSIGN_OR_RETURN(const int64_t length, HeaderLength(file));
  const auto header_bytes = static_cast<size_t>(length);
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + kLengthBytes,
                                header_bytes);
  const std::span<const std::byte> data = file.subspan(kLengthBytes + header_bytes);
  const auto data_bytes = static_cast<int64_t>(data.size());

  ASSIGN_OR_RETURN(std::vector<HeaderEntry> entries, ParseSafetensorsHeader(header));
  RETURN_IF_ERROR(CheckExtents(entries, data_bytes));
  RETURN_IF_ERROR(CheckCoverage(entries, data_bytes));
  TensorMap tensors;
  for (HeaderEntry& entry : entries) {
    StoredTensor tensor;
    tensor.dtype = entry.dtype;
    tensor.shape = std::move(entry.shape);
    tensor.data = data.subspan(static_cast<size_t>(entry.begin),
                               static_cast<size_t>(entry.end - entry.begin));
    tensors.emplace(std::move(entry.name), std::move(tensor));
  }
  return tensors;
}

namespace {

absl::Status SystemError(const std::string& path, const char* what) {
  const int error = errno;
  const std::string message = absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  return absl::InvalidArgumentError(message);
}

absl::StatusOr<std::span<const std::byte>> Map(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return SystemError(path, "cannot stat");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return std::span<const std::byte>();  // mmap refuses length 0; the parser says why
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) return SystemError(path, "cannot map");
  return std::span(static_cast<const std::byte*>(address), size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError(path, "cannot open");
  absl::StatusOr<std::span<const std::byte>> mapping = Map(fd, path);
  ::close(fd);  // the mapping keeps the file
  if (!mapping.ok()) return mapping.status();
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile(path, *mapping));
  absl::StatusOr<TensorMap> tensors = ParseSafetensors(*mapping);
  if (!tensors.ok()) return base::Annotate(tensors.status(), path);
  file->tensors_ = *std::move(tensors);
  return file;
}

SafetensorsFile::SafetensorsFile(std::string path, std::span<const std::byte> mapping)
    : path_(std::move(path)), mapping_(mapping) {}

SafetensorsFile::~SafetensorsFile() {
  if (!mapping_.empty()) ::munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
}

absl::StatusOr<StoredTensor> SafetensorsFile::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return absl::NotFoundError(absl::StrCat(path_, ": no tensor ", Quoted(name)));
  }
  return found->second;
}

int64_t StoredTensor::num_elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string ShapeString(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t extent : shape) absl::StrAppend(&text, text.size() > 1 ? ", " : "", extent);
  return text + "]";
}

}  // namespace lectern::weights
