// Bytes from outside as config.json and generation_config.json (split at the first NUL), then the
// schedule rule over what came out: any accepted config has one entry a layer and a schedule or a
// typed refusal.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/config/index_cache_policy.h"
#include "engine/config/model_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<uint8_t> copy(data, data + size);
  const std::string_view text(reinterpret_cast<const char*>(copy.data()), copy.size());
  const size_t cut = text.find('\0');
  const std::string_view generation = cut == text.npos ? std::string_view() : text.substr(cut + 1);
  const auto config = lectern::config::ParseModelConfig(text.substr(0, cut), generation);
  if (!config.ok()) return 0;

  const auto num_layers = static_cast<size_t>(config->num_hidden_layers);
  LECTERN_CHECK(config->moe_layers.size() == num_layers);
  std::vector<std::string> warnings;
  const auto policy =
      lectern::config::MakeIndexCachePolicy(config->num_hidden_layers, config->index_cache, {},
                                            std::vector<bool>(num_layers, true), &warnings);
  if (policy.ok()) {
    LECTERN_CHECK(policy->full.size() == num_layers && policy->full[0]);
    LECTERN_CHECK(policy->source_layer(policy->num_layers() - 1) >= 0);
  }
  return 0;
}
