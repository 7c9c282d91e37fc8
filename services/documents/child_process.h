#pragma once
// Runs a program that reads bytes from outside, so that whatever they do to it cannot hurt this
// process.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lectern::documents {

struct ChildLimits {
  int64_t memory_bytes = 0;  // address space
  int seconds = 0;           // wall clock, and as much processor time
  int64_t output_bytes = 0;
};

struct ChildOutcome {
  enum class End { kExited, kSignalled, kTimeLimit, kOutputLimit, kCancelled };
  End end = End::kExited;
  int code = 0;  // exit status or signal
  std::string output;
  std::string error_output;  // its first 4 KiB
};

// The program's standard input is an unlinked temporary file holding `input`; it inherits no other
// file, an environment of PATH and LC_ALL alone, runs in its own process group (killed as a whole),
// dumps no core, writes no files to speak of and dies with the calling thread. `cancelled` is
// polled ten times a second. program: a path, or a name looked up in PATH. FailedPrecondition: not
// found. Unavailable: it cannot be started.
absl::StatusOr<ChildOutcome> RunChild(const std::string& program,
                                      const std::vector<std::string>& arguments,
                                      std::string_view input, const ChildLimits& limits,
                                      const std::function<bool()>& cancelled);

}  // namespace lectern::documents
