#pragma once
// JSON that comes from outside (config.json, generation_config.json), read strictly: what a lenient
// parser lets pass in silence, such as the first of two equal keys vanishing, is an error here.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace lectern::config {

// The bytes of a regular file. NotFound: no such file. InvalidArgument: not a regular file,
// unreadable or longer than `max_bytes`. Every message names `path`.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, int64_t max_bytes);

// InvalidArgument: not JSON (with the byte), the same key twice in one object (named), or nested
// deeper than 64 levels, more than any file we read needs and little enough for recursive
// consumers.
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text);

// `text` between single quotes, escaped and cut to a length that fits an error message.
std::string Quoted(std::string_view text);

}  // namespace lectern::config
