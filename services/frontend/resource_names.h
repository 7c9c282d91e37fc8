#pragma once
// Names of resources (documents/{id}, jobs/{id}, sessions/{id}, sessions/{id}/turns/{n}), ids and
// page tokens.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/clock.h"

namespace lectern::frontend {

// A new id: 12 hex digits of wall-clock milliseconds, then 12 random ones; so ids sort by creation.
std::string NewId(const base::Clock& clock);

// The id of "collection/{id}"; nullopt where `name` is not of that form. Ids are 1 to 64 of
// [0-9a-zA-Z_-].
std::optional<std::string> ParseName(std::string_view collection, std::string_view name);

struct TurnName {
  std::string session_id;
  int32_t number = 0;  // from 1
};
std::optional<TurnName> ParseTurnName(std::string_view name);
std::string MakeTurnName(std::string_view session_id, int32_t number);

// 8-4-4-4-12 hex digits.
bool IsUuid(std::string_view text);

// Opaque to clients: the last key of the page, in hex behind a version digit.
std::string MakePageToken(std::string_view last_key);
// nullopt where the token is not one of ours.
std::optional<std::string> ParsePageToken(std::string_view token);

}  // namespace lectern::frontend
