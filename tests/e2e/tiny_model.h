#pragma once
// A model for tests of the service: random weights, four layers FSFS, index_topk 32, so that
// prompts of a few hundred tokens are far beyond it; the GLM tokenizer of the conformance subset.
// It says nothing sensible, always the same.

#include <string>

#include "absl/status/statusor.h"

namespace lectern::e2e {

// Writes the checkpoint into `directory`, which is made. Equal everywhere.
absl::StatusOr<std::string> WriteTinyModel(const std::string& directory);

// Words of a small vocabulary by a seed: text for documents and questions. `words` of them, in
// sentences and paragraphs.
std::string RandomText(int words, uint64_t seed);

}  // namespace lectern::e2e
