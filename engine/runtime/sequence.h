#pragma once
// One live request, from Submit to on_finished.

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/cache/block_pool.h"
#include "engine/cache/page_key.h"
#include "engine/engine.h"

namespace lectern::runtime {

struct Sequence {
  enum class Phase { kWaiting, kRestoring, kPrefill, kDecode };

  RequestId id = 0;
  Request request;
  RequestCallbacks callbacks;
  Phase phase = Phase::kWaiting;

  // Prompt and generated tokens, those of an earlier run included.
  std::vector<int32_t> tokens;
  int64_t computed = 0;  // leading tokens whose rows are in `pages`

  cache::PageKeyChain chain;             // keys of the whole pages of `tokens`; empty without cache
  std::vector<cache::PageHandle> pages;  // of the leading tokens, shared ones first
  cache::Reservation reservation;        // for the pages to come
  int64_t published = 0;                 // leading pages that were offered to the index
  int64_t claimed = 0;  // leading pages of the prompt whose keys are claimed as being computed

  // While restoring.
  int64_t loads_outstanding = 0;
  int64_t first_failed_page = 0;  // == pages.size() while none failed
  int64_t memory_pages = 0;       // leading pages found in memory
  int64_t restored_pages = 0;     // behind them, read from disk

  // Admission is not tried again before something changed.
  std::optional<cache::PageKey> deferred_on;
  std::optional<uint64_t> refused_at_epoch;

  int64_t delivered = 0;  // tokens sent by this run
  std::vector<uint32_t> selection_counts;

  // By the engine's clock; unset: not yet.
  std::chrono::nanoseconds accepted_at{};
  std::optional<std::chrono::nanoseconds> admitted_at;
  std::optional<std::chrono::nanoseconds> restored_at;
  std::optional<std::chrono::nanoseconds> first_token_at;
  std::chrono::nanoseconds last_token_at{};

  int64_t prompt_size() const { return static_cast<int64_t>(request.prompt.size()); }
  int64_t size() const { return static_cast<int64_t>(tokens.size()); }
  int64_t generated() const { return size() - prompt_size(); }
  int64_t remaining() const { return size() - computed; }
};

}  // namespace lectern::runtime
