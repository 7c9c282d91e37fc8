#include "engine/weights/safetensors_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/stored_tensor.h"
#include "nlohmann/json.hpp"

namespace lectern::weights {
namespace {

using config::Quoted;

absl::Status CheckTensor(const TensorToWrite& tensor) {
  int64_t bytes = DtypeBytes(tensor.dtype);
  for (const int64_t extent : tensor.shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) bytes = -1;
    if (bytes < 0) break;
  }
  if (bytes != std::ssize(tensor.data)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", Quoted(tensor.name), ": ",
                                                   tensor.data.size(), " bytes for shape ",
                                                   ShapeString(tensor.shape)));
  }
  return absl::OkStatus();
}

nlohmann::json EntryOf(const TensorToWrite& tensor, int64_t begin) {
  nlohmann::json entry;
  entry["dtype"] = std::string(DtypeName(tensor.dtype));
  entry["shape"] = tensor.shape;
  entry["data_offsets"] = {begin, begin + std::ssize(tensor.data)};
  return entry;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

absl::Status WriteError(const std::string& path) {
  return absl::UnavailableError(absl::StrCat(path, ": cannot write: ", std::strerror(errno)));
}

absl::Status WriteFile(const std::string& path, const std::string& preamble,
                       const std::vector<TensorToWrite>& tensors) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "wb"));
  if (file == nullptr) return WriteError(path);
  if (std::fwrite(preamble.data(), 1, preamble.size(), file.get()) != preamble.size()) {
    return WriteError(path);
  }
  for (const TensorToWrite& tensor : tensors) {
    const size_t size = tensor.data.size();
    if (size > 0 && std::fwrite(tensor.data.data(), 1, size, file.get()) != size) {
      return WriteError(path);
    }
  }
  return std::fflush(file.get()) == 0 ? absl::OkStatus() : WriteError(path);
}

}  // namespace

TensorToWrite F32Tensor(std::string name, std::vector<int64_t> shape,
                        std::span<const float> values) {
  return {std::move(name), Dtype::kF32, std::move(shape), std::as_bytes(values)};
}

TensorToWrite I32Tensor(std::string name, std::vector<int64_t> shape,
                        std::span<const int32_t> values) {
  return {std::move(name), Dtype::kI32, std::move(shape), std::as_bytes(values)};
}

absl::StatusOr<std::string> SafetensorsPreamble(std::vector<TensorToWrite>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    return std::tuple(-DtypeBytes(a.dtype), std::string_view(a.name)) <
           std::tuple(-DtypeBytes(b.dtype), std::string_view(b.name));
  });
  nlohmann::json header = nlohmann::json::object();  // in the order of names
  int64_t begin = 0;
  for (const TensorToWrite& tensor : tensors) {
    RETURN_IF_ERROR(CheckTensor(tensor));
    if (header.contains(tensor.name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", Quoted(tensor.name), " occurs twice"));
    }
    header[tensor.name] = EntryOf(tensor, begin);
    begin += std::ssize(tensor.data);
  }
  // Names that are not UTF-8 are written with a replacement character rather than thrown at.
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const auto length = static_cast<uint64_t>(text.size());
  std::string preamble(sizeof(length), '\0');
  std::memcpy(preamble.data(), &length, sizeof(length));
  return preamble + text;
}

absl::Status WriteSafetensors(const std::string& path, std::vector<TensorToWrite> tensors) {
  ASSIGN_OR_RETURN(const std::string preamble, SafetensorsPreamble(tensors));
  const std::string partial = path + ".partial";
  absl::Status status = WriteFile(partial, preamble, tensors);
  if (status.ok() && std::rename(partial.c_str(), path.c_str()) != 0) status = WriteError(path);
  if (!status.ok()) std::remove(partial.c_str());
  return status;
}

}  // namespace lectern::weights
