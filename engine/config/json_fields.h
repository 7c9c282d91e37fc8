#pragma once
// Typed, range-checked fields of one JSON object. Null and absent are the same. The first fault is
// kept and names the file and the field; later reads return their defaults, so that a parser reads
// as a list of fields and asks for status() once.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace lectern::config {

struct IntRange {
  int64_t min = 0;
  int64_t max = 0;
};
struct RealRange {
  double min = 0;  // exclusive where `open_min`
  double max = 0;
  bool open_min = false;
};

class JsonFields {
 public:
  // `object` must outlive this; `context` begins every message ("config.json").
  JsonFields(const nlohmann::json& object, std::string context);

  const absl::Status& status() const { return status_; }
  // Notes a fault of field `name`; the first one stays.
  void Fail(std::string_view name, std::string_view what);
  void FailUnimplemented(std::string_view name, std::string_view what);

  // The value, or nullptr where absent or null.
  const nlohmann::json* Get(std::string_view name) const;

  int64_t RequiredInt64(std::string_view name, IntRange range);
  int RequiredInt(std::string_view name, IntRange range) {
    return static_cast<int>(RequiredInt64(name, range));
  }
  std::optional<int64_t> OptionalInt(std::string_view name, IntRange range);
  double RequiredReal(std::string_view name, RealRange range);
  std::optional<double> OptionalReal(std::string_view name, RealRange range);
  std::optional<bool> OptionalBool(std::string_view name);
  std::optional<std::string> OptionalString(std::string_view name);
  // A list of strings, each `if_true` or `if_false`.
  std::optional<std::vector<bool>> OptionalChoices(std::string_view name, std::string_view if_true,
                                                   std::string_view if_false);
  // An integer or a list of integers.
  std::optional<std::vector<int64_t>> OptionalIntOrList(std::string_view name, IntRange range);
  // nullptr where absent or null; a fault where it is not an object.
  const nlohmann::json* OptionalObject(std::string_view name);

  const std::string& context() const { return context_; }

 private:
  std::optional<int64_t> IntOf(std::string_view name, const nlohmann::json& value, IntRange range);

  const nlohmann::json& object_;
  std::string context_;
  absl::Status status_;
};

}  // namespace lectern::config
