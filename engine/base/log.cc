#include "engine/base/log.h"

#include <unistd.h>

#include <atomic>
#include <ctime>
#include <string>

namespace lectern::base {
namespace {
std::atomic<LogLevel> min_level{LogLevel::kInfo};
}  // namespace

void SetMinLogLevel(LogLevel level) { min_level.store(level); }

void Log(LogLevel level, std::string_view component, std::string_view message) {
  if (level < min_level.load()) return;
  constexpr char kLetters[] = {'I', 'W', 'E'};
  char stamp[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(stamp, sizeof(stamp), " %Y-%m-%dT%H:%M:%SZ ", &utc);
  std::string line(1, kLetters[static_cast<int>(level)]);
  line.append(stamp).append(component).append(" ").append(message).append("\n");
  // A lost log line must not fail the caller.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace lectern::base
