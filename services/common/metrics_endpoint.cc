#include "services/common/metrics_endpoint.h"

#include <civetweb.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status.h"

namespace lectern::common {

struct MetricsEndpoint::State {
  MetricsEndpointOptions options;
  mg_context* context = nullptr;
};

namespace {

int Reply(mg_connection* connection, int code, const char* phrase, const char* type,
          const std::string& body) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
            "Connection: close\r\n\r\n",
            code, phrase, type, body.size());
  mg_write(connection, body.data(), body.size());
  return code;
}

bool IsGet(const mg_connection* connection) {
  const std::string_view method = mg_get_request_info(connection)->request_method;
  return method == "GET" || method == "HEAD";
}

int ServeMetrics(mg_connection* connection, void* data) {
  const auto& options = static_cast<const MetricsEndpointOptions*>(data);
  if (!IsGet(connection)) return Reply(connection, 405, "Method Not Allowed", "text/plain", "");
  if (options->before_scrape) options->before_scrape();
  return Reply(connection, 200, "OK", "text/plain; version=0.0.4; charset=utf-8",
               options->metrics->Exposition());
}

int ServeHealth(mg_connection* connection, void* data) {
  const auto& options = static_cast<const MetricsEndpointOptions*>(data);
  if (options->health->AllServing()) return Reply(connection, 200, "OK", "text/plain", "ok\n");
  const std::string body =
      absl::StrCat("not serving: ", absl::StrJoin(options->health->NotServing(), ", "), "\n");
  return Reply(connection, 503, "Service Unavailable", "text/plain", body);
}

int ServeNothing(mg_connection* connection, void*) {
  return Reply(connection, 404, "Not Found", "text/plain", "try /metrics or /healthz\n");
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(
    MetricsEndpointOptions options) {
  const size_t colon = options.address.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics address must be host:port, not \"", options.address, "\""));
  }
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  const char* settings[] = {"listening_ports",
                            state->options.address.c_str(),
                            "num_threads",
                            "2",
                            "request_timeout_ms",
                            "5000",
                            "enable_keep_alive",
                            "no",
                            nullptr};
  mg_init_library(0);
  state->context = mg_start(nullptr, nullptr, settings);
  if (state->context == nullptr) {
    mg_exit_library();
    return absl::UnavailableError(
        absl::StrCat("cannot listen for metrics on ", state->options.address));
  }
  mg_set_request_handler(state->context, "/metrics$", ServeMetrics, &state->options);
  mg_set_request_handler(state->context, "/healthz$", ServeHealth, &state->options);
  mg_set_request_handler(state->context, "/**", ServeNothing, nullptr);
  mg_server_port port{};
  std::string address = state->options.address;
  if (mg_get_server_ports(state->context, 1, &port) == 1) {
    address = absl::StrCat(address.substr(0, colon), ":", port.port);
  }
  auto endpoint = std::unique_ptr<MetricsEndpoint>(new MetricsEndpoint(std::move(state)));
  endpoint->address_ = address;
  return endpoint;
}

MetricsEndpoint::MetricsEndpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}

MetricsEndpoint::~MetricsEndpoint() {
  mg_stop(state_->context);
  mg_exit_library();
}

}  // namespace lectern::common
