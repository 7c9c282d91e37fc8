// Engine::Create: opens the checkpoint, loads the model and the page store, and joins them.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"
#include "engine/cache/tiers/page_store.h"
#include "engine/cache/tiers/rocksdb_tier.h"
#include "engine/config/index_cache_policy.h"
#include "engine/model/model.h"
#include "engine/runtime/engine_impl.h"
#include "engine/weights/checkpoint.h"

namespace lectern {
namespace {

std::string LastComponent(const std::string& directory) {
  const std::filesystem::path path = std::filesystem::path(directory).lexically_normal();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

absl::StatusOr<std::unique_ptr<model::Model>> LoadModel(const weights::Checkpoint& checkpoint,
                                                        const config::EngineConfig& config) {
  std::vector<std::string> warnings;
  ASSIGN_OR_RETURN(const config::IndexCachePolicy policy,
                   config::MakeIndexCachePolicy(checkpoint.config().num_hidden_layers,
                                                checkpoint.config().index_cache, config.index_cache,
                                                checkpoint.LayersWithIndexer(), &warnings));
  for (const std::string& warning : warnings) {
    base::Log(base::LogLevel::kWarning, "engine", warning);
  }
  model::ModelOptions options;
  options.dtype = config.dtype;
  options.latent_norm_eps = config.latent_norm_eps;
  options.num_threads = config.num_threads;
  options.max_batch_tokens = config.max_batch_tokens;
  return model::CreateCpuModel(checkpoint, policy, options);
}

// A page store that cannot be opened costs warm starts, not answers.
std::unique_ptr<cache::PageTier> OpenDiskTier(const config::EngineConfig& config,
                                              const cache::KvLayout& layout, base::Metrics& metrics,
                                              const base::Clock& clock) {
  auto store = cache::PageStore::Open({.directory = config.disk_tier_directory});
  if (!store.ok()) {
    base::Log(base::LogLevel::kError, "engine", "no disk tier: " + store.error().message);
    metrics.Add("lectern_tier_errors_total", 1, {{"tier", "disk"}, {"operation", "open"}});
    return nullptr;
  }
  cache::RocksdbTierOptions options;
  options.layout = layout;
  options.budget_bytes = config.disk_tier_bytes;
  return cache::CreateRocksdbTier(std::move(*store), options, metrics, clock);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const config::EngineConfig& config,
                                                       base::Metrics& metrics,
                                                       const base::Clock& clock) {
  ASSIGN_OR_RETURN(const std::unique_ptr<weights::Checkpoint> checkpoint,
                   weights::Checkpoint::Open(config.model_directory));
  runtime::EngineParts parts;
  ASSIGN_OR_RETURN(parts.model, LoadModel(*checkpoint, config));
  parts.model_fingerprint = base::ToHex(checkpoint->Fingerprint());
  parts.model_name = LastComponent(config.model_directory);
  if (!config.disk_tier_directory.empty()) {
    parts.make_tier = [&](const cache::KvLayout& layout) {
      return OpenDiskTier(config, layout, metrics, clock);
    };
  }
  return runtime::MakeEngine(std::move(parts), config, metrics, clock);
}

}  // namespace lectern
