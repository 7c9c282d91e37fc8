// `lectern logits`: a checkpoint's logits, selections and greedy continuations, for comparison from
// outside.

#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/log.h"
#include "engine/inspect.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/locations.h"

namespace lectern::cli {
namespace {

int RunLogits(const Args& args) {
  base::SetMinLogLevel(base::LogLevel::kWarning);
  for (const char* needed : {"input", "output"}) {
    if (args.Has(needed)) continue;
    Fail(absl::InvalidArgumentError(
        absl::StrCat("logits: --", needed, " FILE.safetensors is needed")));
    return kExitUsage;
  }
  if (const std::string device = args.Text("device", "cpu"); device != "cpu") {
    Fail(absl::UnavailableError(absl::StrCat("device ", device, ": this build runs on cpu")));
    return kExitUnavailable;
  }
  const absl::StatusOr<std::string> model = ModelDirectory(args.Text("model"));
  if (!model.ok()) {
    Fail(model.status());
    return kExitUnavailable;
  }
  LogitsFileOptions options;
  options.model_directory = *model;
  options.input = args.Text("input");
  options.output = args.Text("output");
  options.inspect.dtype = args.Text("dtype") == "bfloat16" ? config::ComputeDtype::kBfloat16
                                                           : config::ComputeDtype::kFloat32;
  options.inspect.index_cache = PatternFrom(args);
  options.inspect.latent_norm_eps = args.Real("latent-norm-eps", 0.0);
  options.inspect.num_threads = static_cast<int>(args.Integer("threads", 0));
  options.chunk = static_cast<int>(args.Integer("chunk", 0));
  options.greedy = static_cast<int>(args.Integer("greedy", 0));
  const absl::Status status = RunLogitsFile(options);
  return status.ok() ? kExitOk : Fail(status);
}

}  // namespace

Command LogitsCommand() {
  return {
      .spec = {.name = "logits",
               .summary = "write a checkpoint's logits and selections for given token ids",
               .positionals = "",
               .positionals_min = 0,
               .positionals_max = 0,
               .flags = Join(
                   {{Path("model", "DIR",
                          "checkpoint (default: $LECTERN_MODEL, then lectern-small)"),
                     Path("input", "IN.safetensors",
                          "every int32 or int64 NAME.input_ids [T] is a sequence"),
                     Path("output", "OUT.safetensors", "NAME.logits, NAME.topk.L, NAME.greedy_ids"),
                     Text("device", "cpu|cuda:N", "where the model runs (default: cpu)"),
                     Choice("dtype", {"float32", "bfloat16"}, "arithmetic (default: float32)"),
                     Integer("chunk", "tokens a step (default: the whole sequence)", 1, 1 << 24),
                     Integer("greedy", "continue each sequence by this many tokens (default: 0)", 0,
                             1 << 24),
                     Integer("threads", "compute threads (default: every core)", 1, 4096)},
                    PatternFlags()}),
               .details = "Writes NAME.logits [T, vocab] f32, NAME.topk.L [T, index_topk] i32 for "
                          "each Full layer L\n"
                          "(ascending positions, -1 padded; absent where index_topk >= T) and, "
                          "with --greedy N,\n"
                          "NAME.greedy_ids [N] i32. Other tensors of the input are skipped unread.",
               .example = "lectern logits --model DIR --input ids.safetensors --output "
                          "out.safetensors --chunk 64"},
      .run = RunLogits};
}

}  // namespace lectern::cli
