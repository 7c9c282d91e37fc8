#pragma once
// base::Metrics over prometheus-cpp. Every metric of the service is declared in metric_table.cc
// with kind, help and buckets; a name that is not there is a fault of ours.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/metrics.h"

namespace lectern::common {

// What becomes of a name that metric_table.cc does not declare.
enum class UnknownMetric {
  kCheck,  // die; tests
  kDrop,   // log it once and go on: a missing graph must not take a server down
};

// Thread safe. A family keeps at most 500 label sets; what comes after is dropped and counted in
// lectern_metrics_dropped_total, so that no caller's label can grow the exposition without bound.
class PrometheusMetrics final : public base::Metrics {
 public:
  explicit PrometheusMetrics(UnknownMetric unknown = UnknownMetric::kDrop);
  ~PrometheusMetrics() override;
  void Add(std::string_view name, double amount, base::MetricLabels labels) override;
  void Set(std::string_view name, double value, base::MetricLabels labels) override;
  void Observe(std::string_view name, double value, base::MetricLabels labels) override;

  // The text exposition format, version 0.0.4.
  std::string Exposition() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lectern::common
