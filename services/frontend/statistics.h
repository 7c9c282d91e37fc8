#pragma once
// What the operator asks for: the state of engine, caches and resources, as replies and as gauges.

#include <chrono>

#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "lectern/v1/services.pb.h"
#include "services/frontend/document_catalog.h"
#include "services/frontend/job_runner.h"
#include "services/frontend/session_runner.h"
#include "services/worker/worker.h"

namespace lectern::frontend {

// Thread safe. The cache calls walk the disk: not for RPC threads.
class Statistics {
 public:
  struct Parts {
    const DocumentCatalog& documents;
    const JobRunner& jobs;
    const SessionRunner& sessions;
    worker::Worker* worker = nullptr;  // null: no engine
    int64_t reliable_context = 0;
    int64_t disk_capacity_bytes = 0;
    base::Metrics& metrics;
    const base::Clock& clock;
  };
  explicit Statistics(Parts parts) : parts_(parts), started_(parts.clock.Now()) {}

  v1::Stats Get() const;
  v1::CacheStatsResponse Cache() const;
  absl::StatusOr<v1::VerifyCacheResponse> Verify();
  absl::StatusOr<v1::EvictCacheResponse> Evict(const v1::EvictCacheRequest& request);
  // Sets the gauges that are read from elsewhere; before each scrape.
  void RefreshGauges();

 private:
  const Parts parts_;
  const std::chrono::nanoseconds started_;
};

}  // namespace lectern::frontend
