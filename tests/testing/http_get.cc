#include "tests/testing/http_get.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace lectern::testing {

HttpReply HttpGet(const std::string& address, const std::string& path) {
  const size_t colon = address.rfind(':');
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &target.sin_addr);
  const int file = socket(AF_INET, SOCK_STREAM, 0);
  if (file < 0) return {};
  std::string reply;
  if (connect(file, reinterpret_cast<sockaddr*>(&target), sizeof target) == 0) {
    const std::string request = "GET " + path + " HTTP/1.0\r\nHost: test\r\n\r\n";
    if (write(file, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
      char buffer[8192];
      for (ssize_t n = 0; (n = read(file, buffer, sizeof buffer)) > 0;) {
        reply.append(buffer, static_cast<size_t>(n));
      }
    }
  }
  close(file);
  const size_t space = reply.find(' ');
  const size_t body = reply.find("\r\n\r\n");
  if (space == std::string::npos || body == std::string::npos) return {};
  return {std::atoi(reply.c_str() + space), reply.substr(body + 4)};
}

}  // namespace lectern::testing
