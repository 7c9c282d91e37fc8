#include "services/frontend/statistics.h"

#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/common/process_metrics.h"

#ifndef LECTERN_VERSION
#define LECTERN_VERSION "0.0.0"
#endif

namespace lectern::frontend {
namespace {

constexpr int64_t kPageTokens = 64;

absl::Status NoModel() {
  return common::PreconditionFailed("NO_MODEL", "server", "this process runs no model");
}

}  // namespace

v1::Stats Statistics::Get() const {
  v1::Stats stats;
  stats.set_version(LECTERN_VERSION);
  stats.set_uptime_seconds(base::Seconds(parts_.clock.Now() - started_));
  stats.set_documents(parts_.documents.Count());
  stats.set_jobs(parts_.jobs.Count());
  stats.set_sessions(parts_.sessions.Count());
  stats.set_resident_bytes(common::ResidentBytes());
  if (parts_.worker == nullptr) return stats;
  const EngineInfo& info = parts_.worker->info();
  stats.set_model(info.model_name);
  stats.set_pattern(info.pattern);
  stats.set_numerics_id(info.numerics_id);
  stats.set_device(info.device);
  stats.set_max_context(info.max_context);
  stats.set_reliable_context(parts_.reliable_context);
  const EngineStats engine = parts_.worker->Stats();
  stats.set_requests_running(engine.requests_running);
  stats.set_requests_waiting(engine.requests_waiting);
  stats.set_pages_total(engine.pages_total);
  stats.set_pages_free(engine.pages_free);
  stats.set_pages_cached(engine.pages_cached);
  stats.set_pages_leaked(engine.pages_leaked);
  stats.set_disk_pages(engine.disk_pages);
  stats.set_disk_bytes(engine.disk_bytes);
  return stats;
}

v1::CacheStatsResponse Statistics::Cache() const {
  v1::CacheStatsResponse response;
  if (parts_.worker == nullptr) return response;
  const EngineStats engine = parts_.worker->Stats();
  const int64_t page_bytes = parts_.worker->info().page_bytes;
  auto* device = response.add_tiers();
  device->set_name("device");
  device->set_pages(engine.pages_cached);
  device->set_bytes(engine.pages_cached * page_bytes);
  device->set_capacity_bytes(engine.pages_total * page_bytes);
  auto* disk = response.add_tiers();
  disk->set_name("disk");
  disk->set_pages(engine.disk_pages);
  disk->set_bytes(engine.disk_bytes);
  disk->set_capacity_bytes(parts_.disk_capacity_bytes);
  response.set_integrity_failures(engine.integrity_failures);
  for (const auto& [reason, count] : engine.miss_reasons)
    (*response.mutable_miss_reasons())[reason] = count;
  response.set_page_tokens(kPageTokens);
  response.set_page_bytes(page_bytes);
  return response;
}

absl::StatusOr<v1::VerifyCacheResponse> Statistics::Verify() {
  if (parts_.worker == nullptr) return NoModel();
  ASSIGN_OR_RETURN(const CacheVerifyReport report, parts_.worker->VerifyDiskCache());
  v1::VerifyCacheResponse response;
  response.set_pages_checked(report.pages_checked);
  response.set_pages_bad(report.pages_bad);
  for (const std::string& problem : report.problems) response.add_problems(problem);
  return response;
}

absl::StatusOr<v1::EvictCacheResponse> Statistics::Evict(const v1::EvictCacheRequest& request) {
  if (parts_.worker == nullptr) return NoModel();
  int64_t evicted = 0;
  if (request.memory()) evicted += parts_.worker->DropMemoryCache();
  if (request.disk()) {
    ASSIGN_OR_RETURN(const int64_t dropped, parts_.worker->DropDiskCache());
    evicted += dropped;
  }
  v1::EvictCacheResponse response;
  response.set_pages_evicted(evicted);
  return response;
}

void Statistics::RefreshGauges() {
  if (parts_.worker == nullptr) return;
  base::Metrics& metrics = parts_.metrics;
  const EngineStats engine = parts_.worker->Stats();
  const auto page_bytes = static_cast<double>(parts_.worker->info().page_bytes);
  const auto set = [&](std::string_view name, int64_t value, base::MetricLabels labels) {
    metrics.Set(name, static_cast<double>(value), labels);
  };
  const int64_t used = engine.pages_total - engine.pages_free - engine.pages_cached;
  set("lectern_requests_running", engine.requests_running, {});
  set("lectern_requests_waiting", engine.requests_waiting, {});
  set("lectern_leaked_pages", engine.pages_leaked, {});
  set("lectern_cache_pages", engine.pages_free, {{"tier", "device"}, {"state", "free"}});
  set("lectern_cache_pages", engine.pages_cached, {{"tier", "device"}, {"state", "cached"}});
  set("lectern_cache_pages", used, {{"tier", "device"}, {"state", "referenced"}});
  set("lectern_cache_pages", engine.disk_pages, {{"tier", "disk"}, {"state", "cached"}});
  set("lectern_cache_bytes", engine.disk_bytes, {{"tier", "disk"}});
  metrics.Set("lectern_cache_bytes", static_cast<double>(engine.pages_cached) * page_bytes,
              {{"tier", "device"}});
  if (engine.pages_total > 0) {
    metrics.Set("lectern_kv_usage_ratio",
                static_cast<double>(used) / static_cast<double>(engine.pages_total), {});
  }
}

}  // namespace lectern::frontend
