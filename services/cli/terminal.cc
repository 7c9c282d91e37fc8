#include "services/cli/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status.h"

namespace lectern::cli {

Progress::Progress(std::string label, bool enabled)
    : label_(std::move(label)), enabled_(enabled && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Clear(); }

void Progress::Update(int64_t done, int64_t total, std::string_view unit) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_drawn_ < std::chrono::milliseconds(100)) return;
  last_drawn_ = now;
  drawn_ = true;
  std::fprintf(stderr, "\r\033[K%s", ProgressLine(label_, done, total, unit).c_str());
  std::fflush(stderr);
}

void Progress::Clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

std::string ProgressLine(std::string_view label, int64_t done, int64_t total,
                         std::string_view unit) {
  const bool bytes = unit == "B";
  const auto amount = [&](int64_t n) {
    return bytes ? BytesText(n) : absl::StrCat(n, " ", base::ToAbsl(unit));
  };
  if (total <= 0) return absl::StrCat(base::ToAbsl(label), "  ", amount(done));
  constexpr int64_t kWidth = 24;
  const int64_t shown = std::clamp<int64_t>(done, 0, total);
  const int64_t filled = shown * kWidth / total;
  return absl::StrCat(base::ToAbsl(label), " [", std::string(static_cast<size_t>(filled), '#'),
                      std::string(static_cast<size_t>(kWidth - filled), '-'), "] ",
                      shown * 100 / total, " %  ", amount(shown), " of ", amount(total));
}

std::string BytesText(int64_t bytes) {
  constexpr std::array<const char*, 4> kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024.0;
  size_t unit = 0;
  while (value >= 1024.0 && unit + 1 < kUnits.size()) {
    value /= 1024.0;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string SecondsText(double seconds) {
  return absl::StrFormat(seconds < 10 ? "%.3f s" : "%.1f s", seconds);
}

void PrintJson(const nlohmann::ordered_json& value) {
  PrintText(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void PrintText(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace lectern::cli
