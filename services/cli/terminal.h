#pragma once
// What people see: a progress line on standard error where that is a terminal, sizes and times in
// words.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace lectern::cli {

// A bar that redraws itself at most ten times a second and vanishes when done. Silent where
// standard error is no terminal or `enabled` is false. Not thread safe.
class Progress {
 public:
  Progress(std::string label, bool enabled);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `total` 0: not known, only the count is shown.
  void Update(int64_t done, int64_t total, std::string_view unit);
  // Takes the bar away, so that other output can follow; a later Update draws it again.
  void Clear();

 private:
  std::string label_;
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_drawn_;
};

// The bar itself: "label [####----] 42 %  1.2/3.4 MiB".
std::string ProgressLine(std::string_view label, int64_t done, int64_t total,
                         std::string_view unit);

// "1.4 MiB"; "312 B".
std::string BytesText(int64_t bytes);
// "0.412 s"; "12.3 s".
std::string SecondsText(double seconds);

// One JSON object as a line on standard output, flushed. Bytes that are not UTF-8 become U+FFFD.
void PrintJson(const nlohmann::ordered_json& value);
// Text to standard output, flushed.
void PrintText(std::string_view text);

}  // namespace lectern::cli
