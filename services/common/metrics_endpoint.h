#pragma once
// The metrics port: GET /metrics (text exposition) and GET /healthz (200 or 503, with the names of
// what does not serve). civetweb below; own threads, so that a scrape never waits behind an RPC.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/common/health_state.h"
#include "services/common/prometheus_metrics.h"

namespace lectern::common {

struct MetricsEndpointOptions {
  std::string address;                         // "127.0.0.1:7172"; port 0 picks one
  const PrometheusMetrics* metrics = nullptr;  // outlives the endpoint
  const HealthState* health = nullptr;         // outlives the endpoint
  std::function<void()> before_scrape = {};    // refreshes gauges; on the endpoint's thread
};

class MetricsEndpoint {
 public:
  // InvalidArgument: not host:port with a numeric host. Unavailable: the port is taken.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(MetricsEndpointOptions options);
  ~MetricsEndpoint();  // waits for requests in progress
  // With the port that was picked.
  const std::string& address() const { return address_; }

 private:
  struct State;
  explicit MetricsEndpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  std::string address_;
};

}  // namespace lectern::common
