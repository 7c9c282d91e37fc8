#pragma once
// What the engine reports, without knowing who listens. services/common implements it over
// Prometheus; tests count in memory. Implementations are thread safe and never block for long.

#include <initializer_list>
#include <string_view>
#include <utility>

namespace lectern::base {

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class Metrics {
 public:
  virtual ~Metrics() = default;
  // `name` is the full name of service-conventions, for example "lectern_preemptions_total".
  virtual void Add(std::string_view name, double amount, MetricLabels labels) = 0;
  virtual void Set(std::string_view name, double value, MetricLabels labels) = 0;
  virtual void Observe(std::string_view name, double value, MetricLabels labels) = 0;
};

class NoMetrics final : public Metrics {
 public:
  void Add(std::string_view, double, MetricLabels) override {}
  void Set(std::string_view, double, MetricLabels) override {}
  void Observe(std::string_view, double, MetricLabels) override {}
};

}  // namespace lectern::base
