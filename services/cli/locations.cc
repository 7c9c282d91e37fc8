#include "services/cli/locations.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace lectern::cli {
namespace {

namespace fs = std::filesystem;

std::string Environment(const char* name) {
  const char* value =
      std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets variables
  return value == nullptr ? "" : value;
}

bool IsCheckpoint(const fs::path& directory) {
  std::error_code error;
  return fs::is_regular_file(directory / "config.json", error);
}

}  // namespace

std::string DataDirectory(const std::string& given) {
  if (!given.empty()) return given;
  if (const std::string set = Environment("LECTERN_DATA_DIR"); !set.empty()) return set;
  if (const std::string xdg = Environment("XDG_DATA_HOME"); !xdg.empty()) return xdg + "/lectern";
  const std::string home = Environment("HOME");
  return (home.empty() ? "." : home) + "/.local/share/lectern";
}

absl::StatusOr<std::string> FindModel(const std::string& given, const std::string& environment,
                                      const std::string& executable) {
  for (const auto& [place, source] :
       {std::pair{given, "--model"}, {environment, "$LECTERN_MODEL"}}) {
    if (place.empty()) continue;
    if (IsCheckpoint(place)) return place;
    return absl::NotFoundError(
        absl::StrCat(source, ": no checkpoint in ", place, " (no config.json)"));
  }
  for (fs::path folder = fs::path(executable).parent_path(); !folder.empty();
       folder = folder.parent_path()) {
    for (const char* inside :
         {"configs/models/lectern-small", "share/lectern/models/lectern-small"}) {
      if (IsCheckpoint(folder / inside)) return (folder / inside).string();
    }
    if (folder == folder.parent_path()) break;
  }
  return absl::NotFoundError(
      "no model: give --model DIR or set LECTERN_MODEL; there is no configs/models/lectern-small "
      "in the "
      "source tree or install prefix of this program");
}

absl::StatusOr<std::string> ModelDirectory(const std::string& given) {
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  return FindModel(given, Environment("LECTERN_MODEL"), error ? "" : executable.string());
}

}  // namespace lectern::cli
