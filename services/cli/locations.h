#pragma once
// Where things lie when nobody says: the data directory and the default model.

#include <string>

#include "absl/status/statusor.h"

namespace lectern::cli {

// `given`, else $LECTERN_DATA_DIR, else $XDG_DATA_HOME/lectern, else ~/.local/share/lectern. Not
// created here.
std::string DataDirectory(const std::string& given);

// A checkpoint directory: `given`, then $LECTERN_MODEL, then configs/models/lectern-small in the
// source tree, or share/lectern/models/lectern-small in the install prefix, that holds this
// executable. NotFound: says what was tried.
absl::StatusOr<std::string> ModelDirectory(const std::string& given);

// The same with the places injected, for tests. `executable` is its absolute path.
absl::StatusOr<std::string> FindModel(const std::string& given, const std::string& environment,
                                      const std::string& executable);

}  // namespace lectern::cli
