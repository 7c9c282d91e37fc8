#pragma once
// model.safetensors.index.json: which shard holds which tensor.

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace lectern::weights {

// Tensor name -> file name. Files are bare names that end in .safetensors: an index cannot point
// outside its directory. InvalidArgument names the entry: malformed JSON, a name twice, no or an
// empty weight_map, other than strings, bad file names, or more than 4096 files.
absl::StatusOr<std::map<std::string, std::string, std::less<>>> ParseShardIndex(
    std::string_view text);

}  // namespace lectern::weights
