#pragma once
// A checkpoint of any config with seeded random weights, for benches: speed does not depend on what
// weights say.

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace lectern::cli {

// Writes config.json and model.safetensors (bfloat16) for `config_path`, a config.json or a
// directory that holds one, into `directory`. Every layer gets an indexer, so that any schedule
// fits. Equal seeds give equal bytes. Errors: those of the config; Unavailable where it cannot be
// written.
absl::Status WriteDummyCheckpoint(const std::string& config_path, const std::string& directory,
                                  uint64_t seed);

}  // namespace lectern::cli
