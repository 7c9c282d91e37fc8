#include "services/frontend/listen_address.h"

#include <arpa/inet.h>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"

namespace lectern::frontend {

bool IsLoopback(std::string_view address) {
  const std::string host(address.substr(0, address.rfind(':')));
  if (host == "localhost" || host == "[::1]") return true;
  in_addr parsed{};
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 && ntohl(parsed.s_addr) >> 24 == 127;
}

absl::Status CheckListenAddress(std::string_view address, const std::string& certificate_file,
                                const std::string& key_file) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == address.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen address must be host:port, not \"", base::ToAbsl(address), "\""));
  }
  if (certificate_file.empty() != key_file.empty()) {
    return absl::InvalidArgumentError("TLS needs both a certificate and a key file");
  }
  if (!IsLoopback(address) && certificate_file.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(base::ToAbsl(address),
                     " can be reached from outside: give a TLS certificate and key, or listen on "
                     "127.0.0.1"));
  }
  return absl::OkStatus();
}

}  // namespace lectern::frontend
