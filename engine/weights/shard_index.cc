#include "engine/weights/shard_index.h"

#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"

namespace lectern::weights {
namespace {

using config::Quoted;

// The largest published checkpoint has 282; a mapping is held open for each.
constexpr size_t kMaxShards = 4096;

bool IsShardName(const std::string& name) {
  return absl::EndsWith(name, ".safetensors") && name.front() != '.' &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos &&
         name.size() <= 255;
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string, std::less<>>> ParseShardIndex(
    std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json document, config::ParseStrictJson(text));
  const auto weight_map = document.is_object() ? document.find("weight_map") : document.end();
  if (weight_map == document.end() || !weight_map->is_object() || weight_map->empty()) {
    return absl::InvalidArgumentError("weight_map: must be an object with an entry a tensor");
  }
  std::map<std::string, std::string, std::less<>> shards;
  std::set<std::string> files;
  for (const auto& [tensor, file] : weight_map->items()) {
    const auto* name = file.get_ptr<const std::string*>();
    if (name == nullptr || !IsShardName(*name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight_map: ", Quoted(tensor), ": ", name ? Quoted(*name) : "the value",
                       " is not the bare name of a .safetensors file"));
    }
    files.insert(*name);
    if (files.size() > kMaxShards) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight_map: more than ", kMaxShards, " files"));
    }
    shards.emplace(tensor, *name);
  }
  return shards;
}

}  // namespace lectern::weights
