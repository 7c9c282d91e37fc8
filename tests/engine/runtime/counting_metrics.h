#pragma once
// Metrics kept in memory: sums of counters, last values of gauges, numbers of observations, by
// "name{label=value,…}".

#include <map>
#include <mutex>
#include <string>

#include "engine/base/metrics.h"

namespace lectern::runtime {

class CountingMetrics final : public base::Metrics {
 public:
  void Add(std::string_view name, double amount, base::MetricLabels labels) override {
    const std::lock_guard lock(mutex_);
    values_[Key(name, labels)] += amount;
  }
  void Set(std::string_view name, double value, base::MetricLabels labels) override {
    const std::lock_guard lock(mutex_);
    values_[Key(name, labels)] = value;
  }
  void Observe(std::string_view name, double, base::MetricLabels labels) override {
    const std::lock_guard lock(mutex_);
    values_[Key(name, labels)] += 1;
  }
  double Value(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(key);
    return found == values_.end() ? 0 : found->second;
  }

 private:
  static std::string Key(std::string_view name, base::MetricLabels labels) {
    std::string key(name);
    char separator = '{';
    for (const auto& [label, value] : labels) {
      key.append(1, separator).append(label).append("=").append(value);
      separator = ',';
    }
    return labels.size() == 0 ? key : key + "}";
  }
  mutable std::mutex mutex_;
  std::map<std::string, double> values_;
};

}  // namespace lectern::runtime
