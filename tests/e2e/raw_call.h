#pragma once
// Any bytes as a request to any method, as a hostile or broken client sends them.

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace lectern::e2e {

// "/lectern.v1.Jobs/CreateJob" for every method of the service's API, with a valid serialised
// request of default fields beside it.
struct ApiMethod {
  std::string path;
  std::string request_type;  // full name of the message
};
std::vector<ApiMethod> ApiMethods();

// Sends one message, closes the sending side, drops what comes back and returns how the call ended.
// DeadlineExceeded after `limit`.
absl::Status CallRaw(const std::string& address, const std::string& method,
                     const std::string& bytes, std::chrono::milliseconds limit);

// A request of `type` with every field set to something, by a seed; the raw material for mutations.
std::string FilledRequest(const std::string& type, uint64_t seed);

}  // namespace lectern::e2e
