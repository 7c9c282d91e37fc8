// `lectern bench engine`: the engine's own speed, without the service around it.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/metrics.h"
#include "engine/base/status.h"
#include "engine/config/model_config.h"
#include "engine/engine.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/dummy_weights.h"
#include "services/cli/engine_bench.h"
#include "services/cli/locations.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// A directory of this process alone, gone with it.
class ScratchDirectory {
 public:
  static absl::StatusOr<ScratchDirectory> Make() {
    std::string path = (fs::temp_directory_path() / "lectern-bench-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr)
      return absl::UnavailableError(absl::StrCat(path, ": cannot be made"));
    return ScratchDirectory(std::move(path));
  }
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  // A folder inside, made on the first call.
  std::string Folder(const char* name) const {
    const fs::path folder = fs::path(path_) / name;
    std::error_code ignored;
    fs::create_directories(folder, ignored);
    return folder.string();
  }

 private:
  std::string path_;
};

// What the contract lists and this device cannot do is refused by name, not passed over.
absl::Status CheckDevice(const Args& args) {
  if (const std::string device = args.Text("device", "cpu"); device != "cpu") {
    return absl::UnavailableError(absl::StrCat("device ", device, ": this build runs on cpu"));
  }
  if (args.Text("kv-dtype", "bf16") == "fp8")
    return absl::UnimplementedError("--kv-dtype fp8 needs a GPU");
  if (args.Text("weight-dtype", "bf16") == "fp8") {
    return absl::UnimplementedError("--weight-dtype fp8 needs a GPU");
  }
  if (args.Has("fill-kv"))
    return absl::UnimplementedError("--fill-kv needs a GPU; on cpu the context is computed");
  if (args.Has("no-batch-invariance")) {
    return absl::UnimplementedError(
        "--no-batch-invariance: the CPU's kernels are always batch invariant");
  }
  if (args.Text("restore-from") == "host") {
    return absl::UnimplementedError("--restore-from host: on cpu device memory is host memory");
  }
  return absl::OkStatus();
}

EngineBenchOptions OptionsFrom(const Args& args) {
  EngineBenchOptions options;
  options.context = args.Integer("context", options.context);
  options.decode = args.Integer("decode", options.decode);
  options.batch = static_cast<int>(args.Integer("batch", options.batch));
  options.question_tokens = args.Integer("question-tokens", options.question_tokens);
  options.seed = static_cast<uint64_t>(args.Integer("seed", 1));
  options.reps = static_cast<int>(args.Integer("reps", options.reps));
  if (args.Text("restore-from") == "device") options.restore = RestoreFrom::kDevice;
  if (args.Text("restore-from") == "disk") options.restore = RestoreFrom::kDisk;
  return options;
}

// Room for every sequence at once, at four bytes a value and with every layer Full; more than any
// path needs.
int64_t KvBytes(const config::ModelConfig& model, const EngineBenchOptions& options) {
  const int64_t values = static_cast<int64_t>(model.num_hidden_layers) *
                         (model.kv_lora_rank + model.qk_rope_head_dim + model.index_head_dim + 8);
  const int64_t tokens = options.context + options.question_tokens + options.decode + 256;
  return values * 4 * tokens * options.batch + (64LL << 20);
}

int64_t PeakResidentBytes() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;) {
    int64_t kib = 0;
    if (word == "VmHWM:" && in >> kib) return kib * 1024;
  }
  return 0;
}

double MedianOf(const EngineBenchResult& result, double (*value)(const EngineBenchRun&)) {
  std::vector<double> values;
  for (const EngineBenchRun& run : result.runs) values.push_back(value(run));
  return Median(std::move(values));
}

ordered_json Report(const EngineInfo& info, const EngineBenchOptions& options,
                    const EngineBenchResult& result) {
  const double context_tokens = static_cast<double>(options.context) * options.batch;
  ordered_json json;
  json["ttft_s"] = MedianOf(result, [](const EngineBenchRun& run) { return run.ttft_seconds; });
  const double prefill =
      MedianOf(result, [](const EngineBenchRun& run) { return run.prefill_seconds; });
  const bool restored = options.restore != RestoreFrom::kNothing;
  json["prefill_tokens_per_s"] =
      restored ? ordered_json(nullptr) : ordered_json(context_tokens / prefill);
  std::vector<double> steps;
  for (const EngineBenchRun& run : result.runs) {
    steps.insert(steps.end(), run.step_seconds.begin(), run.step_seconds.end());
  }
  if (steps.empty()) {
    json["decode_tokens_per_s"] = nullptr;
    json["step_ms_p50"] = nullptr;
    json["step_ms_p99"] = nullptr;
  } else {
    json["decode_tokens_per_s"] = MedianOf(result, [](const EngineBenchRun& run) {
      return run.decode_seconds > 0 ? static_cast<double>(run.decode_tokens) / run.decode_seconds
                                    : 0.0;
    });
    json["step_ms_p50"] = Percentile(steps, 0.50) * 1e3;
    json["step_ms_p99"] = Percentile(steps, 0.99) * 1e3;
  }
  for (const char* phase : {"prefill", "decode"}) {
    for (const char* part :
         {"indexer_s", "topk_s", "sparse_attention_s", "gemm_s", "moe_s", "other_s"}) {
      json[phase][part] = nullptr;
    }
  }
  json["peak_device_bytes"] = PeakResidentBytes();
  json["device"] = info.device;
  json["pattern"] = info.pattern;
  json["numerics_id"] = info.numerics_id;
  json["context"] = options.context;
  json["decode_tokens"] = options.decode;
  json["batch"] = options.batch;
  json["seed"] = options.seed;
  json["reps"] = result.runs.size();
  if (restored) {
    json["restore"]["from"] = options.restore == RestoreFrom::kDisk ? "disk" : "device";
    json["restore"]["question_tokens"] = options.question_tokens;
    json["restore"]["cached_tokens"] = result.runs.back().cached_tokens;
    json["restore"]["cold_ttft_s"] =
        MedianOf(result, [](const EngineBenchRun& run) { return run.cold_ttft_seconds; });
  }
  json["notes"] = {"on cpu the parts of prefill and decode are not timed apart: null",
                   "on cpu peak_device_bytes is the process's peak resident memory"};
  return json;
}

void PrintReport(const ordered_json& json) {
  const auto number = [&](const char* field) {
    return json[field].is_null() ? std::string("-")
                                 : absl::StrFormat("%.1f", json[field].get<double>());
  };
  PrintText(absl::StrCat(
      "first token  ", SecondsText(json["ttft_s"].get<double>()), "\nprefill      ",
      number("prefill_tokens_per_s"), " tokens/s\ndecode       ", number("decode_tokens_per_s"),
      " tokens/s, step ", number("step_ms_p50"), " ms (p99 ", number("step_ms_p99"),
      ")\npeak memory  ", BytesText(json["peak_device_bytes"].get<int64_t>()), "\nlayers       ",
      json["pattern"].get<std::string>(), " on ", json["device"].get<std::string>(), ", ",
      json["numerics_id"].get<std::string>(), "\n"));
  if (json.contains("restore")) {
    PrintText(absl::StrCat("restored     ", json["restore"]["cached_tokens"].dump(),
                           " tokens from ", json["restore"]["from"].get<std::string>(),
                           "; cold first token ",
                           SecondsText(json["restore"]["cold_ttft_s"].get<double>()), "\n"));
  }
}

absl::StatusOr<ordered_json> Bench(const Args& args) {
  RETURN_IF_ERROR(CheckDevice(args));
  ASSIGN_OR_RETURN(const ScratchDirectory scratch, ScratchDirectory::Make());
  const EngineBenchOptions options = OptionsFrom(args);
  config::EngineConfig config;
  if (args.Text("load-format", "safetensors") == "dummy") {
    config.model_directory = scratch.Folder("model");
    RETURN_IF_ERROR(WriteDummyCheckpoint(args.Text("model"), config.model_directory, options.seed));
  } else {
    ASSIGN_OR_RETURN(config.model_directory, ModelDirectory(args.Text("model")));
  }
  ASSIGN_OR_RETURN(const config::ModelConfig model,
                   config::LoadModelConfig(config.model_directory));
  if (args.Text("dtype") == "float32") config.dtype = config::ComputeDtype::kFloat32;
  config.index_cache = PatternFrom(args);
  config.latent_norm_eps = args.Real("latent-norm-eps", 0.0);
  config.num_threads = static_cast<int>(args.Integer("threads", 0));
  config.max_batch_tokens =
      static_cast<int>(args.Integer("max-batch-tokens", config.max_batch_tokens));
  config.max_running_requests = std::max(options.batch, config.max_running_requests);
  config.kv_cache_bytes = KvBytes(model, options);
  if (options.restore == RestoreFrom::kDisk) config.disk_tier_directory = scratch.Folder("pages");

  base::NoMetrics metrics;
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   Engine::Create(config, metrics, base::SystemClock()));
  ASSIGN_OR_RETURN(const EngineBenchResult result, RunEngineBench(*engine, options));
  return Report(engine->info(), options, result);
}

int RunBench(const Args& args) {
  base::SetMinLogLevel(base::LogLevel::kWarning);
  if (args.Text("load-format") == "dummy" && !args.Has("model")) {
    Fail(absl::InvalidArgumentError("--load-format dummy needs --model DIR|CONFIG.json"));
    return kExitUsage;
  }
  const absl::StatusOr<ordered_json> report = Bench(args);
  if (!report.ok()) return Fail(report.status());
  args.json() ? PrintJson(*report) : PrintReport(*report);
  return kExitOk;
}

std::vector<Flag> BenchFlags() {
  return {
      Path("model", "DIR|CONFIG.json", "checkpoint, or only a config with --load-format dummy"),
      Choice("load-format", {"safetensors", "dummy"},
             "dummy: seeded random weights (default: safetensors)"),
      Text("device", "cpu|cuda:N", "where the model runs (default: cpu)"),
      Choice("dtype", {"bfloat16", "float32"}, "arithmetic (default: bfloat16)"),
      Integer("context", "prompt tokens of a sequence (default: 2048)", 1, 1 << 24),
      Integer("decode", "tokens generated by each (default: 64)", 1, 1 << 20),
      Integer("batch", "sequences at once, of distinct tokens (default: 1)", 1, 4096),
      Choice("kv-dtype", {"bf16", "fp8"}, "of stored keys and values (default: bf16)"),
      Choice("weight-dtype", {"bf16", "fp8"}, "of stored weights (default: bf16)"),
      Choice("fill-kv", {"random"}, "fill the context's pages instead of computing them"),
      Choice("restore-from", {"device", "host", "disk"}, "time a question behind a cached context"),
      Integer("question-tokens", "with --restore-from (default: 32)", 1, 1 << 20),
      Switch("no-batch-invariance", "let kernels reduce in any order"),
      Integer("threads", "compute threads (default: every core)", 1, 4096),
      Integer("max-batch-tokens", "tokens of one step (default: 512)", 1, 65536),
      Integer("seed", "of tokens and dummy weights (default: 1)", 0, INT64_MAX / 2),
      Integer("reps", "measured runs after one warm-up; medians (default: 3)", 1, 1000),
      Switch("json", "one JSON object on standard output")};
}

}  // namespace

Command BenchEngineCommand() {
  return {.spec = {.name = "bench engine",
                   .summary = "measure the engine: first token, prefill, decode, restore",
                   .positionals = "",
                   .positionals_min = 0,
                   .positionals_max = 0,
                   .flags = Join({BenchFlags(), PatternFlags()}),
                   .details = "ttft_s: all of the prompt in to the first sampled token out, "
                              "nothing cached, no tokenizing.\n"
                              "Prefills over 5 s are measured once. With --restore-from, ttft_s is "
                              "that of the question.",
                   .example = "lectern bench engine --context 20000 --decode 64 --json"},
          .run = RunBench};
}

}  // namespace lectern::cli
