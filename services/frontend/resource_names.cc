#include "services/frontend/resource_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <random>
#include <span>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"

namespace lectern::frontend {
namespace {

constexpr size_t kIdLengthMax = 64;
constexpr char kPageTokenVersion = '1';

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool IsId(std::string_view id) {
  const auto good = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
  };
  return !id.empty() && id.size() <= kIdLengthMax && std::all_of(id.begin(), id.end(), good);
}

}  // namespace

std::string NewId(const base::Clock& clock) {
  thread_local std::random_device random;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(clock.WallNow()).count();
  const uint64_t noise = (static_cast<uint64_t>(random()) << 32) | random();
  std::array<char, 25> text{};
  std::snprintf(text.data(), text.size(), "%012llx%012llx",
                static_cast<unsigned long long>(ms) & 0xffffffffffffULL,
                static_cast<unsigned long long>(noise) & 0xffffffffffffULL);
  return text.data();
}

std::optional<std::string> ParseName(std::string_view collection, std::string_view name) {
  if (!name.starts_with(collection)) return std::nullopt;
  name.remove_prefix(collection.size());
  if (name.empty() || name[0] != '/') return std::nullopt;
  name.remove_prefix(1);
  if (!IsId(name)) return std::nullopt;
  return std::string(name);
}

std::optional<TurnName> ParseTurnName(std::string_view name) {
  constexpr std::string_view kTurns = "/turns/";
  const size_t at = name.find(kTurns);
  if (at == std::string_view::npos) return std::nullopt;
  const auto session = ParseName("sessions", name.substr(0, at));
  const std::string_view digits = name.substr(at + kTurns.size());
  if (!session || digits.empty() || digits[0] == '0') return std::nullopt;
  TurnName out{*session, 0};
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), out.number);
  if (result.ec != std::errc() || result.ptr != digits.data() + digits.size() || out.number < 1) {
    return std::nullopt;
  }
  return out;
}

std::string MakeTurnName(std::string_view session_id, int32_t number) {
  return absl::StrCat("sessions/", base::ToAbsl(session_id), "/turns/", number);
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !IsHexDigit(text[i])) return false;
  }
  return true;
}

std::string MakePageToken(std::string_view last_key) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(last_key.data());
  return absl::StrCat(std::string(1, kPageTokenVersion),
                      base::ToHex(std::span(bytes, last_key.size())));
}

std::optional<std::string> ParsePageToken(std::string_view token) {
  if (token.size() < 3 || token.size() > 1024 || token.size() % 2 == 0 ||
      token[0] != kPageTokenVersion) {
    return std::nullopt;
  }
  token.remove_prefix(1);
  std::string key;
  for (size_t i = 0; i < token.size(); i += 2) {
    unsigned value = 0;
    const auto result = std::from_chars(token.data() + i, token.data() + i + 2, value, 16);
    if (result.ec != std::errc() || result.ptr != token.data() + i + 2) return std::nullopt;
    key.push_back(static_cast<char>(value));
  }
  return key;
}

}  // namespace lectern::frontend
