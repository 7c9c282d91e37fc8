// `lectern verify`: a checkpoint's names, shapes and IndexCache schedule, without running it.

#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "engine/weights/checkpoint.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/locations.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

nlohmann::ordered_json ReportJson(const std::string& model, const weights::Checkpoint& checkpoint,
                                  const weights::CheckpointReport& report) {
  return {{"model", model},
          {"tensors", report.num_tensors},
          {"unused_tensors", report.num_unused},
          {"parameters", report.num_parameters},
          {"bytes", report.bytes},
          {"pattern", report.policy.pattern()},
          {"full_layers", report.policy.num_full()},
          {"layers", report.policy.num_layers()},
          {"fingerprint", base::ToHex(checkpoint.Fingerprint())},
          {"warnings", report.warnings}};
}

std::string ReportText(const nlohmann::ordered_json& report) {
  std::string text = absl::StrCat(
      "checkpoint  ", report["model"].get<std::string>(), "\ntensors     ",
      report["tensors"].dump(), " (", report["unused_tensors"].dump(), " of them unused), ",
      report["parameters"].dump(), " parameters, ", BytesText(report["bytes"].get<int64_t>()),
      "\nlayers      ", report["pattern"].get<std::string>(), " (", report["full_layers"].dump(),
      " Full of ", report["layers"].dump(), ")\nfingerprint ",
      report["fingerprint"].get<std::string>(), "\n");
  for (const auto& warning : report["warnings"]) {
    absl::StrAppend(&text, "warning     ", warning.get<std::string>(), "\n");
  }
  return text + "everything that the model asks for is there\n";
}

int FailVerify(const Args& args, const absl::Status& status) {
  if (args.json()) PrintJson({{"error", std::string(status.message())}});
  return Fail(status);
}

int RunVerify(const Args& args) {
  const absl::StatusOr<std::string> model = ModelDirectory(args.Text("model"));
  if (!model.ok()) {
    FailVerify(args, model.status());
    return kExitUnavailable;
  }
  const absl::StatusOr<std::unique_ptr<weights::Checkpoint>> checkpoint =
      weights::Checkpoint::Open(*model);
  if (!checkpoint.ok()) return FailVerify(args, checkpoint.status());
  const absl::StatusOr<weights::CheckpointReport> report =
      weights::VerifyCheckpoint(**checkpoint, PatternFrom(args));
  if (!report.ok()) return FailVerify(args, report.status());
  const nlohmann::ordered_json json = ReportJson(*model, **checkpoint, *report);
  args.json() ? PrintJson(json) : PrintText(ReportText(json));
  return kExitOk;
}

}  // namespace

Command VerifyCommand() {
  return {.spec = {.name = "verify",
                   .summary = "check a checkpoint: files, names, shapes, IndexCache schedule",
                   .positionals = "",
                   .positionals_min = 0,
                   .positionals_max = 0,
                   .flags = Join({{Path("model", "DIR",
                                        "checkpoint (default: $LECTERN_MODEL, then lectern-small)"),
                                   Switch("json", "one JSON object on standard output")},
                                  PatternFlags()}),
                   .details = "",
                   .example = "lectern verify --model checkpoints/glm --index-topk-freq 4"},
          .run = RunVerify};
}

}  // namespace lectern::cli
