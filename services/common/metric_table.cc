#include "services/common/metric_table.h"

namespace lectern::common {
namespace {

// TTFT starts at a millisecond: buckets that begin at 100 ms would hide cache hits.
constexpr double kTtftBuckets[] = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                                   1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
constexpr double kInterTokenBuckets[] = {.001, .002, .004, .006, .008, .01, .015,
                                         .02,  .025, .03,  .04,  .06,  .08, .1,
                                         .2,   .4,   .8,   1,    2,    4,   8};
constexpr double kSecondsBuckets[] = {.005, .01, .05, .1, .3, .5, .8,  1,   1.5, 2,   2.5,  5,   10,
                                      15,   20,  30,  40, 50, 60, 120, 240, 480, 960, 1920, 7680};
constexpr double kRatioBuckets[] = {.05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, 1};

constexpr auto kCounter = MetricKind::kCounter;
constexpr auto kGauge = MetricKind::kGauge;
constexpr auto kHistogram = MetricKind::kHistogram;

constexpr MetricSpec kTable[] = {
    // Latency.
    {"lectern_time_to_first_token_seconds", kHistogram,
     "Arrival at the front end to first answer token, by the coldest tier that gave at least half "
     "of the prompt",
     true, kTtftBuckets},
    {"lectern_inter_token_latency_seconds", kHistogram, "Between two tokens of one answer", true,
     kInterTokenBuckets},
    {"lectern_request_e2e_seconds", kHistogram, "Arrival to end of answer", true, kSecondsBuckets},
    {"lectern_request_queue_seconds", kHistogram, "Waiting for a place in a step", true,
     kSecondsBuckets},
    {"lectern_request_restore_seconds", kHistogram, "Loading pages from a tier", true,
     kSecondsBuckets},
    {"lectern_request_prefill_seconds", kHistogram, "Computing the prompt", true, kSecondsBuckets},
    {"lectern_request_decode_seconds", kHistogram, "First to last token", true, kSecondsBuckets},
    {"lectern_cancel_to_free_seconds", kHistogram, "Cancellation to everything freed", false,
     kSecondsBuckets},
    // Tokens.
    {"lectern_prompt_tokens_total", kCounter, "Prompt tokens by where they came from", true},
    {"lectern_generation_tokens_total", kCounter, "Tokens generated", true},
    {"lectern_prefix_cache_queries_total", kCounter, "Prompt tokens looked up", true},
    {"lectern_prefix_cache_hits_total", kCounter, "Prompt tokens found, by tier", true},
    // Pages and tiers.
    {"lectern_cache_pages", kGauge, "Pages by tier and state", true},
    {"lectern_cache_bytes", kGauge, "Bytes of pages by tier", true},
    {"lectern_cache_evictions_total", kCounter, "Pages evicted", true},
    {"lectern_cache_integrity_failures_total", kCounter,
     "Pages dropped because they did not verify", true},
    {"lectern_cache_miss_reason_total", kCounter, "Why pages missed", true},
    {"lectern_tier_read_bytes_total", kCounter, "Bytes read from a tier", true},
    {"lectern_tier_write_bytes_total", kCounter, "Bytes written to a tier", true},
    {"lectern_tier_read_seconds", kHistogram, "One read of a tier", true, kSecondsBuckets},
    {"lectern_tier_errors_total", kCounter, "Operations of a tier that failed", true},
    {"lectern_tier_stores_dropped_total", kCounter,
     "Pages that were not written to a tier, by reason", true},
    {"lectern_leaked_pages", kGauge, "Pages referenced by nobody known; 0 always", false},
    // IndexCache.
    {"lectern_indexer_runs_total", kCounter, "Full-layer executions", false},
    {"lectern_index_reuses_total", kCounter, "Shared-layer executions", false},
    {"lectern_index_overlap_ratio", kHistogram, "Sampled overlap of neighbouring layers' choices",
     true, kRatioBuckets},
    // Load.
    {"lectern_requests_running", kGauge, "Requests in the step loop", false},
    {"lectern_requests_waiting", kGauge, "Requests waiting for the step loop", false},
    {"lectern_kv_usage_ratio", kGauge, "Share of KV pages that running requests hold", false},
    {"lectern_preemptions_total", kCounter, "Requests put back to waiting to free pages", false},
    {"lectern_admission_rejections_total", kCounter, "Requests refused before any work", true},
    {"lectern_requests_total", kCounter, "Answers ended, by finish reason", true},
    {"lectern_gpu_seconds_total", kCounter, "Device seconds by tenant and phase", true},
    {"lectern_idle_gpu_seconds_total", kCounter, "Device seconds without work", false},
    // Front end.
    {"lectern_jobs_running", kGauge, "Jobs whose questions are in the engine", false},
    {"lectern_jobs_queued", kGauge, "Jobs that wait for a place", false},
    {"lectern_watchers", kGauge, "Open event streams", false},
    {"lectern_watch_replays_total", kCounter,
     "Batches of events that a watcher read from the store", false},
    {"lectern_rpcs_total", kCounter, "Finished calls by method and code", true},
    {"lectern_documents_ingested_total", kCounter, "Documents made from uploads", false},
    {"lectern_ingest_seconds", kHistogram, "Extraction and storage of one document", false,
     kSecondsBuckets},
    {"lectern_metrics_dropped_total", kCounter,
     "Samples dropped because a family had too many series", false},
};

}  // namespace

std::span<const MetricSpec> MetricTable() { return kTable; }

}  // namespace lectern::common
