#include "engine/tokenizer/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/tokenizer/utf8.h"

namespace lectern::tokenizer {

absl::StatusOr<StopMatcher> StopMatcher::Create(std::vector<std::string> stops) {
  if (stops.size() > kMaxStops) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop: ", stops.size(), " strings, at most ", kMaxStops));
  }
  for (size_t i = 0; i < stops.size(); ++i) {
    if (stops[i].empty() || stops[i].size() > kMaxStopBytes || !IsValidUtf8(stops[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("stop[", i, "]: empty, longer than ", kMaxStopBytes, " bytes or not UTF-8"));
    }
  }
  return StopMatcher(std::move(stops));
}

std::string StopMatcher::Push(std::string_view delta) {
  if (stopped()) return {};
  held_ += delta;
  size_t match_begin = 0;
  size_t match_end = std::string::npos;
  for (size_t i = 0; i < stops_.size(); ++i) {
    const size_t begin = held_.find(stops_[i]);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stops_[i].size();
    if (end > match_end || (end == match_end && begin >= match_begin)) continue;
    match_begin = begin;
    match_end = end;
    matched_ = i;
  }
  const size_t safe = stopped() ? match_begin : held_.size() - HoldBackLength();
  std::string out = held_.substr(0, safe);
  held_ = stopped() ? std::string() : held_.substr(safe);
  return out;
}

std::string StopMatcher::Finish() { return std::exchange(held_, {}); }

// The longest end of the text that is the beginning of a stop string.
size_t StopMatcher::HoldBackLength() const {
  size_t longest = 0;
  const std::string_view text = held_;
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, text.size()); length > longest; --length) {
      if (text.ends_with(std::string_view(stop).substr(0, length))) longest = length;
    }
  }
  return longest;
}

}  // namespace lectern::tokenizer
