#pragma once
// The rotary embedding's part of config.json, in its three spellings.

#include "absl/status/status.h"
#include "engine/config/model_config.h"
#include "nlohmann/json.hpp"

namespace lectern::config {

// Fills rope_theta and yarn of `config` (whose max_position_embeddings is set) from `document`:
// rope_parameters {rope_type, rope_theta, ...}; or rope_theta at the top with rope_scaling {type or
// rope_type, ...}; or both, if they agree. theta defaults to 10000 as in transformers.
// InvalidArgument names the field. Unimplemented: a rope type other than default and yarn.
absl::Status ParseRope(const nlohmann::json& document, ModelConfig& config);

}  // namespace lectern::config
