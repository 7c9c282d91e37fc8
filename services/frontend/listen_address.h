#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace lectern::frontend {

// Whether host:port can be reached from this machine alone: 127.0.0.0/8, [::1], localhost.
bool IsLoopback(std::string_view address);

// FailedPrecondition: another address than loopback without a certificate. InvalidArgument: not
// host:port, or one of certificate and key without the other.
absl::Status CheckListenAddress(std::string_view address, const std::string& certificate_file,
                                const std::string& key_file);

}  // namespace lectern::frontend
