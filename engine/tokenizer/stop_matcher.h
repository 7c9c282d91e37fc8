#pragma once
// Stop strings, found also where they are spread over several tokens.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lectern::tokenizer {

// Text that might be the beginning of a stop string is held back until that is decided, so that no
// part of one is ever given out. The first stop string to be complete ends the text; of two that
// end together the longer counts. What comes out does not depend on how the text was cut into
// deltas. A value: copies carry the state on independently. Not thread safe.
class StopMatcher {
 public:
  static constexpr size_t kMaxStops = 64;
  static constexpr size_t kMaxStopBytes = 1024;

  // InvalidArgument: too many, too long, empty, or not UTF-8 (text comes in whole characters, and a
  // stop string must not cut one). No stop strings are allowed: everything passes at once.
  static absl::StatusOr<StopMatcher> Create(std::vector<std::string> stops);

  // The text that is safe to give out. After a match: what stands before it, then nothing any more.
  std::string Push(std::string_view delta);

  // The text ends without a stop string: gives out what was held back.
  std::string Finish();

  bool stopped() const { return matched_.has_value(); }
  // Which stop string was found, as an index into the list of Create.
  std::optional<size_t> matched() const { return matched_; }

 private:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  size_t HoldBackLength() const;

  std::vector<std::string> stops_;
  std::string held_;
  std::optional<size_t> matched_;
};

}  // namespace lectern::tokenizer
