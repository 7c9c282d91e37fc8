#include "services/cli/connect_flags.h"

#include <iterator>
#include <utility>

#include "engine/base/log.h"
#include "engine/base/status.h"
#include "services/cli/locations.h"

namespace lectern::cli {
namespace {

constexpr int64_t kMebibyte = 1LL << 20;

}  // namespace

std::vector<Flag> PatternFlags() {
  return {Text("index-topk-pattern", "FSS...", "Full and Shared layers, one letter a layer"),
          Integer("index-topk-freq", "every Nth layer is Full", 1, 1024),
          Integer("index-skip-topk-offset", "offset of --index-topk-freq (default: 2)", 1, 1024),
          Real("latent-norm-eps",
               "eps of the q_a and kv_a norms (default: the model's rms_norm_eps)", 0, 1)};
}

std::vector<Flag> EngineFlags() {
  return Join({{Path("model", "DIR", "checkpoint (default: $LECTERN_MODEL, then lectern-small)"),
                Choice("device", {"cpu"}, "where the model runs (default: cpu)"),
                Choice("dtype", {"bfloat16", "float32"}, "arithmetic (default: bfloat16)"),
                Integer("threads", "compute threads (default: every core)", 1, 4096),
                Integer("kv-cache-mib", "memory for pages, MiB (default: 512)", 1, 1 << 24),
                Integer("disk-cache-gib", "page store on disk, GiB (default: 8)", 1, 1 << 20),
                Integer("max-batch-tokens", "tokens of one step (default: 512)", 1, 65536),
                Integer("max-running", "requests computed at once (default: 32)", 1, 4096)},
               PatternFlags()});
}

std::vector<Flag> ClientFlags() {
  return {Text("server", "HOST:PORT",
               "talk to this server (default: the one that holds the data directory)"),
          Path("data-dir", "DIR",
               "data directory (default: $LECTERN_DATA_DIR or ~/.local/share/lectern)"),
          Switch("json", "one JSON object a line on standard output"),
          Switch("verbose", "log what a server in this process does")};
}

std::vector<Flag> AnswerFlags() {
  return {Integer("max-new-tokens", "longest answer in tokens (default: 256)", 1, 1 << 20),
          Real("temperature", "0 is greedy (default: 0)", 0, 100),
          Real("top-p", "nucleus (default: off)", 0, 1),
          Integer("top-k", "best tokens only (default: off)", 0, 1 << 20),
          Real("min-p", "least share of the best token's probability (default: off)", 0, 1),
          Real("repetition-penalty", "over 1 discourages repeats (default: off)", 0, 100),
          Integer("seed", "of the draws (default: 0)", 0, INT64_MAX / 2),
          Repeated(Text("stop", "TEXT", "end the answer before this text; may be given again")),
          Integer("evidence", "evidence passages, 0 for none (default: 3)", 0, 100),
          Switch("whole", "read documents whole even beyond the model's reliable context"),
          Switch("no-cache", "neither look up nor keep prefix pages")};
}

std::vector<Flag> Join(std::vector<std::vector<Flag>> groups) {
  std::vector<Flag> all;
  for (std::vector<Flag>& group : groups) {
    std::move(group.begin(), group.end(), std::back_inserter(all));
  }
  return all;
}

config::IndexCacheOverride PatternFrom(const Args& args) {
  config::IndexCacheOverride pattern;
  if (args.Has("index-topk-pattern")) pattern.index_topk_pattern = args.Text("index-topk-pattern");
  if (args.Has("index-topk-freq")) {
    pattern.index_topk_freq = static_cast<int>(args.Integer("index-topk-freq", 0));
  }
  if (args.Has("index-skip-topk-offset")) {
    pattern.index_skip_topk_offset = static_cast<int>(args.Integer("index-skip-topk-offset", 0));
  }
  return pattern;
}

absl::StatusOr<config::EngineConfig> EngineConfigFrom(const Args& args) {
  config::EngineConfig engine;
  ASSIGN_OR_RETURN(engine.model_directory, ModelDirectory(args.Text("model")));
  if (args.Text("dtype") == "float32") engine.dtype = config::ComputeDtype::kFloat32;
  engine.index_cache = PatternFrom(args);
  engine.latent_norm_eps = args.Real("latent-norm-eps", engine.latent_norm_eps);
  engine.num_threads = static_cast<int>(args.Integer("threads", engine.num_threads));
  engine.kv_cache_bytes =
      args.Integer("kv-cache-mib", engine.kv_cache_bytes / kMebibyte) * kMebibyte;
  engine.max_batch_tokens =
      static_cast<int>(args.Integer("max-batch-tokens", engine.max_batch_tokens));
  engine.max_running_requests =
      static_cast<int>(args.Integer("max-running", engine.max_running_requests));
  engine.disk_tier_bytes =
      args.Integer("disk-cache-gib", engine.disk_tier_bytes / (kMebibyte * 1024)) * kMebibyte *
      1024;
  return engine;
}

v1::AnswerOptions AnswerOptionsFrom(const Args& args) {
  v1::AnswerOptions options;
  v1::SamplingOptions& sampling = *options.mutable_sampling();
  sampling.set_max_new_tokens(static_cast<int32_t>(args.Integer("max-new-tokens", 0)));
  sampling.set_temperature(args.Real("temperature", 0));
  sampling.set_top_p(args.Real("top-p", 0));
  sampling.set_top_k(static_cast<int32_t>(args.Integer("top-k", 0)));
  sampling.set_min_p(args.Real("min-p", 0));
  sampling.set_repetition_penalty(args.Real("repetition-penalty", 0));
  sampling.set_seed(static_cast<uint64_t>(args.Integer("seed", 0)));
  for (const std::string& stop : args.All("stop")) sampling.add_stop(stop);
  options.set_whole(args.Has("whole"));
  options.set_no_cache(args.Has("no-cache"));
  // On the wire 0 means the default and a negative number none.
  if (args.Has("evidence")) {
    const int64_t passages = args.Integer("evidence", 0);
    options.set_evidence(passages == 0 ? -1 : static_cast<int32_t>(passages));
  }
  return options;
}

absl::StatusOr<std::unique_ptr<Client>> ConnectFrom(const Args& args, Needs needs) {
  SetLogLevel(args);
  ConnectOptions options;
  options.server = args.Text("server");
  options.embedded.data_directory = DataDirectory(args.Text("data-dir"));
  options.embedded.start_engine = needs == Needs::kEngine;
  const bool may_embed =
      options.server.empty() && !frontend::FindServer(options.embedded.data_directory).ok();
  if (may_embed) {
    absl::StatusOr<config::EngineConfig> engine = EngineConfigFrom(args);
    if (engine.ok()) {
      options.embedded.engine = *std::move(engine);
    } else if (needs == Needs::kEngine) {
      // For a script, "no model here" is the same as "no server here".
      return absl::UnavailableError(engine.status().message());
    }
  }
  return Client::Connect(options);
}

void SetLogLevel(const Args& args) {
  base::SetMinLogLevel(args.Has("verbose") ? base::LogLevel::kInfo : base::LogLevel::kWarning);
}

}  // namespace lectern::cli
