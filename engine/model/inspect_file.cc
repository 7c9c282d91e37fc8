// The logits command: sequences of one safetensors file in, logits and choices out.

#include <cstring>
#include <deque>
#include <limits>
#include <string_view>
#include <utility>

#include "engine/base/status.h"
#include "engine/inspect.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/safetensors_writer.h"

namespace lectern {
namespace {

constexpr std::string_view kSuffix = ".input_ids";

template <typename T>
absl::StatusOr<std::vector<int32_t>> WidenIds(std::span<const std::byte> data) {
  std::vector<int32_t> out(data.size() / sizeof(T));
  for (size_t i = 0; i < out.size(); ++i) {
    T id;
    std::memcpy(&id, data.data() + i * sizeof(T), sizeof(T));
    if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError("token " + std::to_string(id) +
                                        " is outside the vocabulary");
    }
    out[i] = static_cast<int32_t>(id);
  }
  return out;
}

absl::StatusOr<std::vector<int32_t>> ReadIds(const weights::StoredTensor& tensor) {
  if (tensor.shape.size() != 1) return absl::InvalidArgumentError("must have one dimension");
  return tensor.dtype == weights::Dtype::kI32 ? WidenIds<int32_t>(tensor.data)
                                              : WidenIds<int64_t>(tensor.data);
}

bool IsSequence(std::string_view name, const weights::StoredTensor& tensor) {
  return name.size() > kSuffix.size() && name.ends_with(kSuffix) &&
         (tensor.dtype == weights::Dtype::kI32 || tensor.dtype == weights::Dtype::kI64);
}

// Values of the output file, which the writer only views.
struct SequenceResult {
  std::string name;
  int64_t length = 0;
  InspectResult result;
  std::vector<int32_t> greedy;
};

void AddTensors(const SequenceResult& sequence, const config::ModelConfig& config,
                std::vector<weights::TensorToWrite>* out) {
  out->push_back(weights::F32Tensor(sequence.name + ".logits", {sequence.length, config.vocab_size},
                                    sequence.result.logits));
  for (const auto& [layer, chosen] : sequence.result.topk) {
    out->push_back(weights::I32Tensor(sequence.name + ".topk." + std::to_string(layer),
                                      {sequence.length, config.index_topk}, chosen));
  }
  if (sequence.greedy.empty()) return;
  out->push_back(weights::I32Tensor(sequence.name + ".greedy_ids",
                                    {static_cast<int64_t>(sequence.greedy.size())},
                                    sequence.greedy));
}

}  // namespace

absl::Status RunLogitsFile(const LogitsFileOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<weights::SafetensorsFile> input,
                   weights::SafetensorsFile::Open(options.input));
  ASSIGN_OR_RETURN(const std::unique_ptr<Inspector> inspector,
                   Inspector::Open(options.model_directory, options.inspect));
  std::deque<SequenceResult> sequences;
  for (const auto& [name, tensor] : input->tensors()) {
    if (!IsSequence(name, tensor)) continue;
    const auto annotate = [&name = name](const absl::Status& status) {
      return base::Annotate(status, name);
    };
    absl::StatusOr<std::vector<int32_t>> ids = ReadIds(tensor);
    if (!ids.ok()) return annotate(ids.status());
    SequenceResult& sequence = sequences.emplace_back();
    sequence.name = name.substr(0, name.size() - kSuffix.size());
    sequence.length = static_cast<int64_t>(ids->size());
    absl::StatusOr<InspectResult> result = inspector->Run(*ids, options.chunk, true);
    if (!result.ok()) return annotate(result.status());
    sequence.result = *std::move(result);
    if (options.greedy <= 0) continue;
    absl::StatusOr<std::vector<int32_t>> greedy =
        inspector->Greedy(*ids, options.greedy, options.chunk);
    if (!greedy.ok()) return annotate(greedy.status());
    sequence.greedy = *std::move(greedy);
  }
  if (sequences.empty()) {
    return absl::InvalidArgumentError(options.input + ": no int32 or int64 tensor NAME.input_ids");
  }
  std::vector<weights::TensorToWrite> tensors;
  for (const SequenceResult& sequence : sequences) {
    AddTensors(sequence, inspector->config(), &tensors);
  }
  return weights::WriteSafetensors(options.output, std::move(tensors));
}

}  // namespace lectern
