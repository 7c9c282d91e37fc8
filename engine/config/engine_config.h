#pragma once
// Settings of one engine, validated once by Engine::Create. Every field: default, unit, reason.

#include <cstdint>
#include <string>

#include "engine/config/index_cache_policy.h"

namespace lectern::config {

enum class ComputeDtype { kFloat32, kBfloat16 };

struct EngineConfig {
  std::string model_directory;
  // bfloat16 is the serving path; float32 is the reference that conformance is checked on.
  ComputeDtype dtype = ComputeDtype::kBfloat16;
  IndexCacheOverride index_cache;
  // eps of the q_a and kv_a norms; <= 0 means the model's rms_norm_eps (as GLM was trained).
  double latent_norm_eps = 0.0;
  int num_threads = 0;  // 0: every core
  // Bytes for KV pages in memory; 512 MiB holds about 130K tokens of the default model.
  int64_t kv_cache_bytes = 512LL << 20;
  // Tokens computed in one step, shared by decode and chunked prefill.
  int max_batch_tokens = 512;
  int max_running_requests = 32;
  int max_waiting_requests = 1024;
  // Local page store. Empty directory: no disk tier.
  std::string disk_tier_directory;
  int64_t disk_tier_bytes = 8LL << 30;
};

}  // namespace lectern::config
