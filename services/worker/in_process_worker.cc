#include <utility>

#include "engine/base/check.h"
#include "services/worker/worker.h"

namespace lectern::worker {
namespace {

// Nothing is added: Engine already promises what Worker promises. The class is the seam where a
// worker over gRPC takes the engine's place.
class InProcessWorker final : public Worker {
 public:
  explicit InProcessWorker(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  absl::StatusOr<RequestId> Submit(Request request, RequestCallbacks callbacks) override {
    return engine_->Submit(std::move(request), std::move(callbacks));
  }
  void Cancel(RequestId id) override { engine_->Cancel(id); }
  int64_t CachedPrefix(const std::vector<int32_t>& prompt, const std::string& cache_salt) override {
    return engine_->CachedPrefix(prompt, cache_salt);
  }
  EngineStats Stats() const override { return engine_->Stats(); }
  const EngineInfo& info() const override { return engine_->info(); }
  absl::Status FlushTiers() override { return engine_->FlushTiers(); }
  int64_t DropMemoryCache() override { return engine_->DropMemoryCache(); }
  absl::StatusOr<int64_t> DropDiskCache() override { return engine_->DropDiskCache(); }
  absl::StatusOr<CacheVerifyReport> VerifyDiskCache() override {
    return engine_->VerifyDiskCache();
  }

 private:
  std::unique_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Worker> MakeInProcessWorker(std::unique_ptr<Engine> engine) {
  LECTERN_CHECK(engine != nullptr);
  return std::make_unique<InProcessWorker>(std::move(engine));
}

}  // namespace lectern::worker
