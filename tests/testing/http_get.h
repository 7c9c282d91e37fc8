#pragma once
// The simplest HTTP client, for tests that look at a port of their own machine.

#include <string>

namespace lectern::testing {

struct HttpReply {
  int code = 0;  // 0: no reply
  std::string body;
};

// GET http://`address``path`; address is "127.0.0.1:port".
HttpReply HttpGet(const std::string& address, const std::string& path);

}  // namespace lectern::testing
