#pragma once
// What the kernel knows about this process, by the names that every Prometheus client library uses.

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstdint>
#include <vector>

namespace lectern::common {

// Resident set of this process, bytes; 0 where /proc does not say.
int64_t ResidentBytes();

// process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds,
// process_start_time_seconds, read from /proc at each scrape.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  ProcessMetrics();
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  double start_time_seconds_ = 0;
};

}  // namespace lectern::common
