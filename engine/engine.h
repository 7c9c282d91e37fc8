#pragma once
// The engine as the worker sees it: requests in, events out. No tensor, no thread, no device in it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "engine/config/engine_config.h"
#include "engine/sampling/sampling_params.h"

namespace lectern {

using RequestId = uint64_t;

struct Request {
  std::vector<int32_t> prompt;  // at least one token
  // Tokens that an earlier run of this request already produced and that the client has: they
  // follow the prompt, are not sent again, and sampling goes on from where it stood (resume after a
  // crash).
  std::vector<int32_t> generated;
  sampling::SamplingParams sampling;
  int max_new_tokens = 256;             // `generated` included
  std::vector<int32_t> stop_token_ids;  // the model's eos ids are not added: say them here
  std::string cache_salt;               // tenant secret: pages are shared only under equal salts
  bool use_cache = true;                // false: neither look up nor publish prefix pages
  bool record_selections = false;       // fill Finished::selection_counts
  int priority = 0;                     // higher first
};

enum class FinishReason { kStop, kLength, kCancelled, kError };

// Prompt tokens by where they came from; the sum is the prompt's length.
struct PromptTokens {
  int64_t computed = 0;
  int64_t device = 0;  // pages in the engine's memory
  int64_t disk = 0;    // pages read from the local store
};

struct TokenLogprob {
  int32_t token_id = 0;
  float logprob = 0.0F;
};

struct TokenEvent {
  int32_t token_id = 0;
  int64_t index = 0;             // 0-based among the generated ones, `Request::generated` counted
  std::optional<float> logprob;  // with SamplingParams::logprobs >= 0
  std::vector<TokenLogprob> top_logprobs;  // as many as asked for, best first
};

struct Finished {
  FinishReason reason = FinishReason::kStop;
  absl::Status status;  // not OK with kError
  PromptTokens prompt_tokens;
  int64_t generated_tokens = 0;
  double queue_seconds = 0;
  double restore_seconds = 0;
  double prefill_seconds = 0;
  double decode_seconds = 0;
  // Accepted -> first token, by the engine's clock; unset where there was none.
  std::optional<double> ttft_seconds;
  // [prompt + generated] how often the deepest third of the Full layers (rounded up) selected each
  // position while the answer was written (queries: the last prompt token and every generated token
  // but the last). Empty unless asked for.
  std::vector<uint32_t> selection_counts;
};

// Called on the engine's loop thread: must not block and must not call back into the engine, except
// Cancel. on_finished is called exactly once, last, also for refused and cancelled requests.
struct RequestCallbacks {
  std::function<void(const TokenEvent&)> on_token;
  // May be empty. After a step that left prompt tokens to compute: how many are in place now,
  // cached ones included.
  std::function<void(int64_t prompt_tokens_done)> on_progress;
  std::function<void(const Finished&)> on_finished;
};

struct EngineStats {
  int64_t requests_running = 0;
  int64_t requests_waiting = 0;
  int64_t pages_total = 0;
  int64_t pages_free = 0;
  int64_t pages_cached = 0;  // unreferenced, kept for reuse
  int64_t pages_leaked = 0;  // referenced by nobody known: 0 always
  int64_t disk_pages = 0;
  int64_t disk_bytes = 0;
  int64_t integrity_failures = 0;
  int64_t indexer_runs = 0;  // Full-layer executions, one a layer and step
  int64_t index_reuses = 0;  // Shared-layer executions
  std::map<std::string, int64_t> miss_reasons;
};

struct CacheVerifyReport {
  int64_t pages_checked = 0;
  int64_t pages_bad = 0;
  std::vector<std::string> problems;  // one line each, at most 100
};

struct EngineInfo {
  std::string model_name;  // the directory's last component
  std::string pattern;     // FSSS…
  std::string numerics_id;
  std::string device;       // "cpu"
  int64_t max_context = 0;  // tokens: what the page pool and the model's positions allow
  int vocab_size = 0;
  int64_t page_bytes = 0;
  std::vector<int32_t> eos_token_ids;
};

// Thread safe. Submit and Cancel only enqueue; one loop thread does the work.
class Engine {
 public:
  virtual ~Engine() = default;  // cancels what runs and waits for the loop

  // InvalidArgument / NotFound: the checkpoint; names the file. ResourceExhausted: memory.
  // `metrics` and `clock` must outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const config::EngineConfig& config,
                                                        base::Metrics& metrics,
                                                        const base::Clock& clock);

  // Refused before any work: InvalidArgument (empty prompt, token out of range, bad sampling),
  // FailedPrecondition (longer than max_context, with the numbers), ResourceExhausted (queue full).
  // After OK exactly one on_finished comes.
  virtual absl::StatusOr<RequestId> Submit(Request request, RequestCallbacks callbacks) = 0;

  // Frees everything of the request within one step. Unknown ids are ignored.
  virtual void Cancel(RequestId id) = 0;

  // How many leading tokens of `prompt` are in a tier now (no side effects); for placement.
  virtual int64_t CachedPrefix(const std::vector<int32_t>& prompt,
                               const std::string& cache_salt) = 0;

  virtual EngineStats Stats() const = 0;
  virtual const EngineInfo& info() const = 0;

  // Waits until everything published so far is in the disk tier (shutdown, tests, benches).
  virtual absl::Status FlushTiers() = 0;
  // Drops the pages in memory that nobody holds; the disk tier stays. Returns how many.
  virtual int64_t DropMemoryCache() = 0;
  // Empties the disk tier. Returns how many pages it held.
  virtual absl::StatusOr<int64_t> DropDiskCache() = 0;
  // Walks the disk tier: every manifest, checksum and segment. Bad pages are dropped and listed.
  virtual absl::StatusOr<CacheVerifyReport> VerifyDiskCache() = 0;
};

}  // namespace lectern
