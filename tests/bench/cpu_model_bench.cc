// Speed of the CPU model on a dummy checkpoint of the default shape: prefill and decode tokens per
// second, one JSON object a line. Not a test.
//
//   cpu_model_bench [--reps N] [--threads N] [--max-context N] [--decode-only 1]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "kernels/tensor.h"
#include "tests/testing/dummy_checkpoint.h"

namespace lectern {
namespace {

constexpr int kChunk = 512;
constexpr int kDecodeSteps = 64;

struct Flags {
  int reps = 3;
  int threads = 0;
  int max_context = 65536;
  bool decode_only = false;
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Processor seconds of all threads: on a busy machine, with --threads 1, the steadier figure.
double ProcessorSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Sequences of one length, each with pages of its own.
class Batch {
 public:
  Batch(model::Model& model, int num_sequences, int capacity)
      : model_(model),
        num_sequences_(num_sequences),
        blocks_((capacity + cache::kPageSize - 1) / cache::kPageSize),
        bytes_(int64_t{num_sequences} * blocks_ * model.kv_layout().page_bytes()) {
    for (int32_t page = 0; page < num_sequences * blocks_; ++page) table_.push_back(page);
  }

  // Feeds `count` tokens to every sequence of the batch in one step.
  void Step(int count) {
    std::vector<int32_t> ids, positions, bounds = {0}, lengths, rows;
    for (int s = 0; s < num_sequences_; ++s) {
      for (int i = 0; i < count; ++i) {
        ids.push_back(static_cast<int32_t>((position_ + i) * 7919 + s * 104729) % 6143);
        positions.push_back(position_ + i);
      }
      bounds.push_back((s + 1) * count);
      lengths.push_back(position_ + count);
      rows.push_back((s + 1) * count - 1);
    }
    model::StepInput input;
    input.token_ids = ids;
    input.positions = positions;
    input.cu_seqlens_q = bounds;
    input.kv_len = lengths;
    input.block_tables = table_;
    input.max_blocks = blocks_;
    input.logit_rows = rows;
    input.kv = {bytes_.data(), model_.kv_layout()};
    const auto out = model_.Forward(input);
    if (!out.ok()) {
      std::fprintf(stderr, "%s\n", out.status().ToString().c_str());
      std::exit(1);
    }
    position_ += count;
  }

  void Rewind(int position) { position_ = position; }

 private:
  model::Model& model_;
  int num_sequences_;
  int32_t blocks_;
  kernels::AlignedBuffer<std::byte> bytes_;
  std::vector<int32_t> table_;
  int32_t position_ = 0;
};

void Prefill(Batch& batch, int context) {
  batch.Rewind(0);
  for (int done = 0; done < context; done += kChunk) batch.Step(std::min(kChunk, context - done));
}

void BenchPrefill(model::Model& model, int context, int reps) {
  Batch batch(model, 1, context);
  std::vector<double> seconds, cpu_seconds;
  for (int rep = 0; rep < reps; ++rep) {
    const double begin = Now();
    const double cpu_begin = ProcessorSeconds();
    Prefill(batch, context);
    seconds.push_back(Now() - begin);
    cpu_seconds.push_back(ProcessorSeconds() - cpu_begin);
  }
  std::printf(
      "{\"bench\":\"prefill\",\"context\":%d,\"seconds\":%.3f,\"cpu_seconds\":%.3f,\"tokens_per_"
      "s\":%.0f}\n",
      context, Median(seconds), Median(cpu_seconds), context / Median(seconds));
  std::fflush(stdout);
}

void BenchDecode(model::Model& model, int context, int sequences, int reps) {
  Batch batch(model, sequences, context + kDecodeSteps);
  for (int done = 0; done < context; done += kChunk / sequences) batch.Step(kChunk / sequences);
  std::vector<double> seconds, cpu_seconds;
  for (int rep = 0; rep < reps; ++rep) {
    batch.Rewind(context);
    const double begin = Now();
    const double cpu_begin = ProcessorSeconds();
    for (int step = 0; step < kDecodeSteps; ++step) batch.Step(1);
    seconds.push_back((Now() - begin) / kDecodeSteps);
    cpu_seconds.push_back((ProcessorSeconds() - cpu_begin) / kDecodeSteps);
  }
  std::printf(
      "{\"bench\":\"decode\",\"context\":%d,\"batch\":%d,\"step_ms\":%.3f,\"cpu_ms\":%.3f,\"tokens_"
      "per_s\":%.0f}\n",
      context, sequences, Median(seconds) * 1e3, Median(cpu_seconds) * 1e3,
      sequences / Median(seconds));
  std::fflush(stdout);
}

int Main(const Flags& flags) {
  const std::string directory =
      (std::filesystem::temp_directory_path() / "lectern_cpu_model_bench").string();
  if (const auto status = testing::MakeDummyCheckpoint(directory, testing::DefaultModelShape(), 1);
      !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  const auto checkpoint = weights::Checkpoint::Open(directory);
  const config::ModelConfig& config = (*checkpoint)->config();
  std::vector<std::string> warnings;
  const auto policy = config::MakeIndexCachePolicy(config.num_hidden_layers, config.index_cache, {},
                                                   (*checkpoint)->LayersWithIndexer(), &warnings);
  const auto model = model::CreateCpuModel(
      **checkpoint, *policy,
      {.dtype = config::ComputeDtype::kBfloat16, .num_threads = flags.threads});
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", model.status().ToString().c_str());
    return 1;
  }
  std::printf("{\"numerics_id\":\"%s\",\"pattern\":\"%s\"}\n", (*model)->numerics_id().c_str(),
              policy->pattern().c_str());
  for (const int context : {2048, 8192, 20480, 65536}) {
    if (context > flags.max_context || flags.decode_only) continue;
    BenchPrefill(**model, context, context > 8192 ? 1 : flags.reps);
  }
  for (const int sequences : {1, 8}) {
    for (const int context : {2048, 20480}) {
      if (context > flags.max_context) continue;
      BenchDecode(**model, context, sequences, flags.reps);
    }
  }
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace lectern

int main(int argc, char** argv) {
  lectern::Flags flags;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--reps") == 0) flags.reps = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--threads") == 0) flags.threads = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--decode-only") == 0) flags.decode_only = argv[i + 1][0] == '1';
    if (std::strcmp(argv[i], "--max-context") == 0) flags.max_context = std::atoi(argv[i + 1]);
  }
  return lectern::Main(flags);
}
