#include "engine/config/rope_config.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_fields.h"
#include "engine/config/json_file.h"

namespace lectern::config {
namespace {

using nlohmann::json;

constexpr RealRange kTheta{1.0, 1e15, true};
constexpr double kDefaultTheta = 1e4;

struct RopeSpelling {
  std::optional<double> theta;
  std::optional<YarnConfig> yarn;
};

bool Equal(const YarnConfig& a, const YarnConfig& b) {
  return a.factor == b.factor &&
         a.original_max_position_embeddings == b.original_max_position_embeddings &&
         a.beta_fast == b.beta_fast && a.beta_slow == b.beta_slow && a.mscale == b.mscale &&
         a.mscale_all_dim == b.mscale_all_dim && a.attention_factor == b.attention_factor;
}

YarnConfig ParseYarn(JsonFields& fields, int64_t max_position_embeddings) {
  YarnConfig yarn;
  yarn.factor = fields.RequiredReal("factor", {1.0, 1e6});
  yarn.original_max_position_embeddings =
      fields.OptionalInt("original_max_position_embeddings", {1, 1LL << 31})
          .value_or(max_position_embeddings);
  yarn.beta_fast = fields.OptionalReal("beta_fast", {0.0, 1e6, true}).value_or(32.0);
  yarn.beta_slow = fields.OptionalReal("beta_slow", {0.0, 1e6, true}).value_or(1.0);
  yarn.mscale = fields.OptionalReal("mscale", {0.0, 1e3});
  yarn.mscale_all_dim = fields.OptionalReal("mscale_all_dim", {0.0, 1e3});
  yarn.attention_factor = fields.OptionalReal("attention_factor", {0.0, 1e3, true});
  if (!fields.OptionalBool("truncate").value_or(true)) {
    fields.FailUnimplemented("truncate", "only truncated (whole) ramp bounds are implemented");
  }
  return yarn;
}

absl::StatusOr<RopeSpelling> ParseSpelling(const json& object, const char* name,
                                           int64_t max_position_embeddings) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      return absl::UnimplementedError(
          absl::StrCat("config.json: ", name, ": ", Quoted(key), ": parameters per kind of layer"));
    }
  }
  JsonFields fields(object, absl::StrCat("config.json: ", name));
  RopeSpelling spelling;
  spelling.theta = fields.OptionalReal("rope_theta", kTheta);
  const std::optional<std::string> new_name = fields.OptionalString("rope_type");
  const std::optional<std::string> old_name = fields.OptionalString("type");
  if (new_name && old_name && *new_name != *old_name) {
    fields.Fail("type",
                absl::StrCat(Quoted(*old_name), " contradicts rope_type ", Quoted(*new_name)));
  }
  const std::string type = new_name ? *new_name : old_name.value_or("default");
  if (type == "yarn") {
    spelling.yarn = ParseYarn(fields, max_position_embeddings);
  } else if (type != "default") {
    fields.FailUnimplemented("rope_type",
                             absl::StrCat(Quoted(type), " is not one of default, yarn"));
  }
  // MLA rotates all of qk_rope_head_dim; a part of it has no published meaning.
  if (fields.OptionalReal("partial_rotary_factor", {0.0, 1.0}).value_or(1.0) != 1.0) {
    fields.FailUnimplemented("partial_rotary_factor", "only 1.0 is implemented");
  }
  RETURN_IF_ERROR(fields.status());
  return spelling;
}

}  // namespace

absl::Status ParseRope(const json& document, ModelConfig& config) {
  JsonFields fields(document, "config.json");
  const std::optional<double> top_theta = fields.OptionalReal("rope_theta", kTheta);
  const json* parameters = fields.OptionalObject("rope_parameters");
  const json* scaling = fields.OptionalObject("rope_scaling");
  if (fields.OptionalReal("partial_rotary_factor", {0.0, 1.0}).value_or(1.0) != 1.0) {
    fields.FailUnimplemented("partial_rotary_factor", "only 1.0 is implemented");
  }
  RETURN_IF_ERROR(fields.status());

  RopeSpelling chosen;
  if (parameters != nullptr) {
    ASSIGN_OR_RETURN(chosen,
                     ParseSpelling(*parameters, "rope_parameters", config.max_position_embeddings));
  }
  if (scaling != nullptr) {
    ASSIGN_OR_RETURN(const RopeSpelling old,
                     ParseSpelling(*scaling, "rope_scaling", config.max_position_embeddings));
    const bool both = parameters != nullptr;
    const bool same_yarn = chosen.yarn.has_value() == old.yarn.has_value() &&
                           (!old.yarn || Equal(*chosen.yarn, *old.yarn));
    const bool same_theta = !chosen.theta || !old.theta || *chosen.theta == *old.theta;
    if (both && !(same_yarn && same_theta)) {
      return absl::InvalidArgumentError("config.json: rope_scaling: contradicts rope_parameters");
    }
    chosen.yarn = old.yarn;
    if (old.theta) chosen.theta = old.theta;
  }
  if (chosen.theta && top_theta && *chosen.theta != *top_theta) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config.json: rope_theta: ", *top_theta, " contradicts rope_parameters' ", *chosen.theta));
  }
  config.rope_theta = chosen.theta ? *chosen.theta : top_theta.value_or(kDefaultTheta);
  config.yarn = chosen.yarn;
  return absl::OkStatus();
}

}  // namespace lectern::config
