#include "engine/config/json_fields.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"

namespace lectern::config {

using nlohmann::json;

JsonFields::JsonFields(const json& object, std::string context)
    : object_(object), context_(std::move(context)) {
  LECTERN_CHECK(object.is_object());
}

void JsonFields::Fail(std::string_view name, std::string_view what) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(
      absl::StrCat(context_, ": ", base::ToAbsl(name), ": ", base::ToAbsl(what)));
}

void JsonFields::FailUnimplemented(std::string_view name, std::string_view what) {
  if (!status_.ok()) return;
  status_ = absl::UnimplementedError(
      absl::StrCat(context_, ": ", base::ToAbsl(name), ": ", base::ToAbsl(what)));
}

const json* JsonFields::Get(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<int64_t> JsonFields::IntOf(std::string_view name, const json& value, IntRange range) {
  if (!value.is_number_integer()) {
    Fail(name, "must be an integer");
    return std::nullopt;
  }
  const bool too_big =
      value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const int64_t number = too_big ? std::numeric_limits<int64_t>::max() : value.get<int64_t>();
  if (too_big || number < range.min || number > range.max) {
    Fail(name, absl::StrCat(too_big ? "the value" : absl::StrCat(number), " is outside ", range.min,
                            "..", range.max));
    return std::nullopt;
  }
  return number;
}

std::optional<int64_t> JsonFields::OptionalInt(std::string_view name, IntRange range) {
  const json* value = Get(name);
  return value == nullptr ? std::nullopt : IntOf(name, *value, range);
}

int64_t JsonFields::RequiredInt64(std::string_view name, IntRange range) {
  if (Get(name) == nullptr) Fail(name, "is missing");
  // The least allowed value after a fault: what is derived from it stays in bounds.
  return OptionalInt(name, range).value_or(range.min);
}

std::optional<double> JsonFields::OptionalReal(std::string_view name, RealRange range) {
  const json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    Fail(name, "must be a number");
    return std::nullopt;
  }
  const double number = value->get<double>();
  const bool above = range.open_min ? number > range.min : number >= range.min;
  if (!std::isfinite(number) || !above || number > range.max) {
    Fail(name, absl::StrCat(number, " is outside ", range.open_min ? "(" : "[", range.min, ", ",
                            range.max, "]"));
    return std::nullopt;
  }
  return number;
}

double JsonFields::RequiredReal(std::string_view name, RealRange range) {
  if (Get(name) == nullptr) Fail(name, "is missing");
  return OptionalReal(name, range).value_or(range.max);
}

std::optional<bool> JsonFields::OptionalBool(std::string_view name) {
  const json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    Fail(name, "must be true or false");
    return std::nullopt;
  }
  return value->get<bool>();
}

std::optional<std::string> JsonFields::OptionalString(std::string_view name) {
  const json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    Fail(name, "must be a string");
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::optional<std::vector<bool>> JsonFields::OptionalChoices(std::string_view name,
                                                             std::string_view if_true,
                                                             std::string_view if_false) {
  const json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  const std::string expected = absl::StrCat("must be a list of \"", base::ToAbsl(if_true),
                                            "\" and \"", base::ToAbsl(if_false), "\"");
  if (!value->is_array()) {
    Fail(name, expected);
    return std::nullopt;
  }
  std::vector<bool> choices;
  for (size_t i = 0; i < value->size(); ++i) {
    const auto* text = (*value)[i].get_ptr<const std::string*>();
    if (text == nullptr || (*text != if_true && *text != if_false)) {
      Fail(name, absl::StrCat("entry ", i, text ? absl::StrCat(" is ", Quoted(*text)) : "", "; ",
                              expected));
      return std::nullopt;
    }
    choices.push_back(*text == if_true);
  }
  return choices;
}

std::optional<std::vector<int64_t>> JsonFields::OptionalIntOrList(std::string_view name,
                                                                  IntRange range) {
  const json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  std::vector<int64_t> numbers;
  if (!value->is_array()) {
    numbers.push_back(IntOf(name, *value, range).value_or(range.min));
    return numbers;
  }
  for (const json& entry : *value) numbers.push_back(IntOf(name, entry, range).value_or(range.min));
  return numbers;
}

const json* JsonFields::OptionalObject(std::string_view name) {
  const json* value = Get(name);
  if (value == nullptr || value->is_object()) return value;
  Fail(name, "must be an object");
  return nullptr;
}

}  // namespace lectern::config
