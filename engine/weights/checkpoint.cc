#include "engine/weights/checkpoint.h"

#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"
#include "engine/weights/dequantize.h"
#include "engine/weights/float_conversion.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/shard_index.h"
#include "engine/weights/tensor_schema.h"

namespace lectern::weights {
namespace {

using config::Quoted;

constexpr int64_t kMaxConfigBytes = 4LL << 20;
// GLM-5.2-FP8's index, the largest known, has 118,629 entries in about 11 MB.
constexpr int64_t kMaxIndexBytes = 64LL << 20;

class DirectoryCheckpoint final : public Checkpoint {
 public:
  explicit DirectoryCheckpoint(std::string directory) : directory_(std::move(directory)) {}

  absl::Status Load();

  const config::ModelConfig& config() const override { return config_; }
  bool Has(std::string_view name) const override { return tensors_.find(name) != tensors_.end(); }
  std::vector<std::string> Names() const override;
  absl::StatusOr<StoredTensor> Find(std::string_view name) const override;
  absl::StatusOr<std::vector<float>> ReadFloat(std::string_view name,
                                               std::span<const int64_t> shape) const override;
  std::vector<bool> LayersWithIndexer() const override;
  base::Sha256Digest Fingerprint() const override;

 private:
  absl::Status LoadSingleFile(const std::string& path);
  absl::Status LoadShards(const std::string& index_path);
  base::Sha256Digest ComputeFingerprint() const;

  std::string directory_;
  std::string config_text_;  // for the fingerprint
  config::ModelConfig config_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const StoredTensor*, std::less<>> tensors_;  // into files_
  mutable std::once_flag fingerprint_once_;
  mutable base::Sha256Digest fingerprint_{};
};

absl::Status DirectoryCheckpoint::Load() {
  ASSIGN_OR_RETURN(config_, config::LoadModelConfig(directory_));
  ASSIGN_OR_RETURN(config_text_,
                   config::ReadTextFile(directory_ + "/config.json", kMaxConfigBytes));
  // One whole file is preferred where both exist, as transformers does.
  absl::Status single = LoadSingleFile(directory_ + "/model.safetensors");
  if (!absl::IsNotFound(single)) return single;
  absl::Status shards = LoadShards(directory_ + "/model.safetensors.index.json");
  if (!absl::IsNotFound(shards) || !files_.empty()) return shards;
  return absl::NotFoundError(absl::StrCat(
      directory_, ": neither model.safetensors nor model.safetensors.index.json can be found"));
}

absl::Status DirectoryCheckpoint::LoadSingleFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::Open(path));
  for (const auto& [name, tensor] : file->tensors()) tensors_.emplace(name, &tensor);
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

// The index decides: what a shard holds beyond its entries is not part of the checkpoint.
absl::Status DirectoryCheckpoint::LoadShards(const std::string& index_path) {
  ASSIGN_OR_RETURN(const std::string text, config::ReadTextFile(index_path, kMaxIndexBytes));
  auto weight_map = ParseShardIndex(text);
  if (!weight_map.ok()) return base::Annotate(weight_map.status(), index_path);
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [name, file_name] : *weight_map) {
    const SafetensorsFile*& file = opened[file_name];
    if (file == nullptr) {
      auto shard = SafetensorsFile::Open(directory_ + "/" + file_name);
      // A missing shard is a fault of this checkpoint, not the absence of one.
      if (absl::IsNotFound(shard.status())) {
        return absl::InvalidArgumentError(
            absl::StrCat(index_path, ": names ", Quoted(file_name), ", which does not exist"));
      }
      RETURN_IF_ERROR(shard.status());
      file = shard->get();
      files_.push_back(*std::move(shard));
    }
    const auto found = file->tensors().find(name);
    if (found == file->tensors().end()) {
      return absl::InvalidArgumentError(absl::StrCat(index_path, ": places tensor ", Quoted(name),
                                                     " in ", Quoted(file_name),
                                                     ", which lacks it"));
    }
    tensors_.emplace(name, &found->second);
  }
  return absl::OkStatus();
}

std::vector<std::string> DirectoryCheckpoint::Names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

absl::StatusOr<StoredTensor> DirectoryCheckpoint::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return absl::NotFoundError(absl::StrCat(directory_, ": no tensor ", Quoted(name)));
  }
  return *found->second;
}

absl::StatusOr<std::vector<float>> DirectoryCheckpoint::ReadFloat(
    std::string_view name, std::span<const int64_t> shape) const {
  ASSIGN_OR_RETURN(const StoredTensor tensor, Find(name));
  RETURN_IF_ERROR(CheckShape(name, tensor, shape));
  RETURN_IF_ERROR(CheckWeight(*this, name, tensor));
  std::vector<float> values(static_cast<size_t>(tensor.num_elements()));
  if (tensor.dtype != Dtype::kF8E4m3) {
    WidenToFloat(tensor.dtype, tensor.data, values);
    return values;
  }
  if (shape.size() > 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", Quoted(name), ": FP8 with more than three dimensions"));
  }
  const int64_t batches = shape.size() == 3 ? shape[0] : 1;
  const int64_t rows = shape[shape.size() - 2];
  if (batches == 1) return ReadRows(*this, name, tensor, {0, 0, rows});
  auto end = values.begin();
  for (int64_t batch = 0; batch < batches; ++batch) {
    ASSIGN_OR_RETURN(const std::vector<float> matrix,
                     ReadRows(*this, name, tensor, {batch, 0, rows}));
    end = std::copy(matrix.begin(), matrix.end(), end);
  }
  return values;
}

std::vector<bool> DirectoryCheckpoint::LayersWithIndexer() const {
  std::vector<bool> layers;
  layers.reserve(static_cast<size_t>(config_.num_hidden_layers));
  for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
    layers.push_back(Has(IndexerMarkerName(layer)));
  }
  return layers;
}

base::Sha256Digest DirectoryCheckpoint::Fingerprint() const {
  std::call_once(fingerprint_once_, [this] { fingerprint_ = ComputeFingerprint(); });
  return fingerprint_;
}

// Every variable-length part is preceded by its length: no two checkpoints run together to the same
// bytes.
base::Sha256Digest DirectoryCheckpoint::ComputeFingerprint() const {
  base::Sha256 hash;
  const auto add_number = [&hash](uint64_t number) {
    hash.Update(std::as_bytes(std::span(&number, 1)));
  };
  const auto add_text = [&](std::string_view text) {
    add_number(text.size());
    hash.Update(text);
  };
  add_text(config_text_);
  add_number(tensors_.size());
  for (const auto& [name, tensor] : tensors_) {
    add_text(name);
    add_text(DtypeName(tensor->dtype));
    add_number(tensor->shape.size());
    for (const int64_t extent : tensor->shape) add_number(static_cast<uint64_t>(extent));
    add_number(tensor->data.size());
    hash.Update(tensor->data);
  }
  return hash.Finish();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& directory) {
  auto checkpoint = std::make_unique<DirectoryCheckpoint>(directory);
  RETURN_IF_ERROR(checkpoint->Load());
  return checkpoint;
}

}  // namespace lectern::weights
