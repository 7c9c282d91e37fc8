#pragma once
// Structured one-line logs on standard error: "I 2026-11-22T07:46:00Z component message key=value".
// Thread safe: one write a line.

#include <string_view>

namespace lectern::base {

enum class LogLevel { kInfo, kWarning, kError };

void Log(LogLevel level, std::string_view component, std::string_view message);
// Lines below this level are dropped; kInfo by default.
void SetMinLogLevel(LogLevel level);

}  // namespace lectern::base
