// `lectern version`.

#include <string>

#include "absl/strings/str_cat.h"
#include "services/cli/command.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

int RunVersion(const Args& args) {
  if (args.json()) {
    PrintJson({{"version", LECTERN_VERSION},
               {"build_type", LECTERN_BUILD_TYPE},
               {"cuda", LECTERN_WITH_CUDA != 0}});
  } else {
    PrintText(absl::StrCat("lectern " LECTERN_VERSION " (" LECTERN_BUILD_TYPE ", ",
                           LECTERN_WITH_CUDA != 0 ? "CUDA and CPU" : "CPU only", ")\n"));
  }
  return kExitOk;
}

}  // namespace

Command VersionCommand() {
  return {.spec = {.name = "version",
                   .summary = "version and build of this program",
                   .positionals = "",
                   .positionals_min = 0,
                   .positionals_max = 0,
                   .flags = {Switch("json", "one JSON object on standard output")},
                   .details = "",
                   .example = "lectern version"},
          .run = RunVersion};
}

}  // namespace lectern::cli
