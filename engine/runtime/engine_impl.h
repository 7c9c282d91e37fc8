#pragma once
// The engine over given parts: the factory of Engine::Create, and of tests with fakes at the seams.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "engine/cache/page_key.h"
#include "engine/cache/page_tier.h"
#include "engine/config/engine_config.h"
#include "engine/engine.h"
#include "engine/model/model.h"

namespace lectern::runtime {

struct EngineParts {
  std::unique_ptr<model::Model> model;
  // Makes the disk tier once the pool stands; null, or returning null: none.
  std::function<std::unique_ptr<cache::PageTier>(const cache::KvLayout& layout)> make_tier;
  // Identity of weights and config; part of every page key.
  std::string model_fingerprint;
  std::string model_name;
  cache::PageHash page_hash = cache::Sha256PageHash;  // tests force collisions
};

// Uses the limits of `config`; its directories were used by whoever made the parts.
// InvalidArgument: a limit below 1, or room for less than one page. ResourceExhausted: memory.
absl::StatusOr<std::unique_ptr<Engine>> MakeEngine(EngineParts parts,
                                                   const config::EngineConfig& config,
                                                   base::Metrics& metrics,
                                                   const base::Clock& clock);

}  // namespace lectern::runtime
