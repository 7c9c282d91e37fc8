#pragma once
// How the front end reaches an engine: one interface, in process now and over gRPC later. Work in tokens and events;
// documents, prompts and evidence stay in the front end.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/engine.h"

namespace lectern::worker {

// Thread safe. Same promises as Engine: after Submit's OK exactly one on_finished comes, callbacks must not block.
class Worker {
 public:
  virtual ~Worker() = default;
  virtual absl::StatusOr<RequestId> Submit(Request request, RequestCallbacks callbacks) = 0;
  virtual void Cancel(RequestId id) = 0;
  virtual int64_t CachedPrefix(const std::vector<int32_t>& prompt, const std::string& cache_salt) = 0;
  virtual EngineStats Stats() const = 0;
  virtual const EngineInfo& info() const = 0;
  virtual absl::Status FlushTiers() = 0;
  virtual int64_t DropMemoryCache() = 0;
  virtual absl::StatusOr<int64_t> DropDiskCache() = 0;
  virtual absl::StatusOr<CacheVerifyReport> VerifyDiskCache() = 0;
};

// The engine of this process behind the interface.
std::unique_ptr<Worker> MakeInProcessWorker(std::unique_ptr<Engine> engine);

}  // namespace lectern::worker
