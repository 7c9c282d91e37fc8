#pragma once
// Status macros over absl::Status, and conversions for the parts that know only the standard library.
// The packaged Abseil (20220623) has no status_macros.h.

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/base/error.h"

namespace lectern::base {

// The packaged absl::string_view is not std::string_view; interfaces of ours use the standard one.
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

inline absl::Status ToStatus(const Error& error) {
  return {static_cast<absl::StatusCode>(error.code), error.message};
}

// Puts "context: " before the message of an error; OK stays OK. Payloads are kept.
inline absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status out(status.code(), std::string(context) + ": " + std::string(ToStd(status.message())));
  status.ForEachPayload(
      [&out](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

}  // namespace lectern::base

#define LECTERN_CONCAT_INNER(a, b) a##b
#define LECTERN_CONCAT(a, b) LECTERN_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression` (absl::Status) is not OK.
#define RETURN_IF_ERROR(expression)                          \
  do {                                                       \
    absl::Status lectern_status = (expression);              \
    if (!lectern_status.ok()) return lectern_status;         \
  } while (false)

// ASSIGN_OR_RETURN(auto value, StatusOrExpression()).
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(LECTERN_CONCAT(lectern_result_, __LINE__), declaration, expression)
// `declaration` cannot stand in parentheses.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return std::move(result).status();          \
  declaration = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)
