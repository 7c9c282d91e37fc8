#pragma once
// The metrics of the service: names, kinds, help. Prefix lectern_; counters end in _total; seconds
// and bytes are base units.

#include <span>
#include <string_view>

namespace lectern::common {

enum class MetricKind { kCounter, kGauge, kHistogram };

struct MetricSpec {
  std::string_view name;
  MetricKind kind = MetricKind::kCounter;
  std::string_view help;
  bool labelled = false;  // false: the one series exists from the start, so that 0 reads as 0
  std::span<const double> buckets = {};  // kHistogram
};

std::span<const MetricSpec> MetricTable();

}  // namespace lectern::common
