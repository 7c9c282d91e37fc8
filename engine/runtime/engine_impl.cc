#include "engine/runtime/engine_impl.h"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/runtime/engine_metrics.h"
#include "engine/runtime/sequence_pages.h"
#include "engine/runtime/step_loop.h"

namespace lectern::runtime {
namespace {

// A salt is a digest or a name; anything longer is a mistake of the caller.
constexpr std::size_t kMaxSaltBytes = 1024;

absl::Status CheckTokens(const std::vector<int32_t>& tokens, int vocab_size,
                         std::string_view what) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(base::ToAbsl(what), " token ", i, " is ",
                                                     tokens[i], ", outside [0, ", vocab_size, ")"));
    }
  }
  return absl::OkStatus();
}

class EngineImpl final : public Engine {
 public:
  EngineImpl(EngineParts parts, std::unique_ptr<cache::BlockPool> pool,
             const cache::PageKey& name_space, EngineInfo info, const config::EngineConfig& config,
             base::Metrics& metrics, const base::Clock& clock)
      : info_(std::move(info)),
        max_waiting_(config.max_waiting_requests),
        clock_(clock),
        metrics_(metrics, info_.model_name),
        model_(std::move(parts.model)),
        pages_(std::move(pool), parts.make_tier ? parts.make_tier(model_->kv_layout()) : nullptr,
               name_space, std::move(parts.page_hash), metrics),
        loop_(*model_, pages_,
              {.max_batch_tokens = config.max_batch_tokens,
               .max_running = config.max_running_requests},
              metrics_, clock) {
    if (pages_.tier() != nullptr) pages_.tier()->SetWake([this] { Wake(); });
    thread_ = std::thread([this] { Run(); });
  }

  ~EngineImpl() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  absl::StatusOr<RequestId> Submit(Request request, RequestCallbacks callbacks) override {
    RETURN_IF_ERROR(Validate(request));
    auto sequence = std::make_unique<Sequence>();
    sequence->tokens = request.prompt;
    sequence->tokens.insert(sequence->tokens.end(), request.generated.begin(),
                            request.generated.end());
    // Hashed here, not on the loop: a long prompt costs the others nothing.
    if (request.use_cache) sequence->chain = pages_.KeysOf(sequence->tokens, request.cache_salt);
    sequence->request = std::move(request);
    sequence->callbacks = std::move(callbacks);
    sequence->accepted_at = clock_.Now();
    const int64_t in_loop = loop_.stats().requests_waiting;
    RequestId id = 0;
    {
      const std::lock_guard lock(mutex_);
      const int64_t waiting = in_loop + static_cast<int64_t>(arrivals_.size()) + draining_;
      if (waiting >= max_waiting_) {
        metrics_.Rejected("queue_full");
        return absl::ResourceExhaustedError(
            absl::StrCat("queue full: ", waiting, " requests wait, ", max_waiting_, " may"));
      }
      id = ++last_id_;
      sequence->id = id;
      arrivals_.push_back(std::move(sequence));
    }
    changed_.notify_all();
    return id;
  }

  void Cancel(RequestId id) override {
    {
      const std::lock_guard lock(mutex_);
      cancellations_.push_back(id);
    }
    changed_.notify_all();
  }

  int64_t CachedPrefix(const std::vector<int32_t>& prompt, const std::string& cache_salt) override {
    return pages_.CachedTokens(prompt, cache_salt);
  }

  EngineStats Stats() const override {
    EngineStats stats = loop_.stats();
    const std::lock_guard lock(mutex_);
    stats.requests_waiting += static_cast<int64_t>(arrivals_.size()) + draining_;
    return stats;
  }

  const EngineInfo& info() const override { return info_; }

  absl::Status FlushTiers() override {
    if (pages_.tier() == nullptr) return absl::OkStatus();
    const auto error = pages_.tier()->Flush();
    return error ? base::ToStatus(*error) : absl::OkStatus();
  }

  int64_t DropMemoryCache() override {
    std::promise<int64_t> dropped;
    auto result = dropped.get_future();
    {
      const std::lock_guard lock(mutex_);
      drops_.push_back(std::move(dropped));
    }
    changed_.notify_all();
    return result.get();
  }

  absl::StatusOr<int64_t> DropDiskCache() override {
    if (pages_.tier() == nullptr) return int64_t{0};
    auto cleared = pages_.tier()->Clear();
    if (!cleared.ok()) return base::ToStatus(cleared.error());
    return *cleared;
  }

  absl::StatusOr<CacheVerifyReport> VerifyDiskCache() override {
    if (pages_.tier() == nullptr) return absl::FailedPreconditionError("no disk tier");
    cache::TierReport found = pages_.tier()->Verify();
    return CacheVerifyReport{found.pages_checked, found.pages_bad, std::move(found.problems)};
  }

 private:
  // What reached the loop since it last looked.
  struct Mail {
    std::vector<std::unique_ptr<Sequence>> arrivals;
    std::vector<RequestId> cancellations;
    std::vector<std::promise<int64_t>> drops;
  };

  absl::Status Validate(const Request& request) {
    if (request.prompt.empty()) return Refuse(absl::InvalidArgumentError("empty prompt"));
    if (request.max_new_tokens < 1) {
      return Refuse(absl::InvalidArgumentError("max_new_tokens must be at least 1"));
    }
    if (request.cache_salt.size() > kMaxSaltBytes) {
      return Refuse(absl::InvalidArgumentError("cache_salt longer than 1024 bytes"));
    }
    const absl::Status sampling = sampling::Validate(request.sampling);
    if (!sampling.ok()) return Refuse(sampling);
    const auto prompt = static_cast<int64_t>(request.prompt.size());
    const auto generated = static_cast<int64_t>(request.generated.size());
    const int64_t wanted = prompt + std::max<int64_t>(generated, request.max_new_tokens);
    if (wanted > info_.max_context) {
      metrics_.Rejected("too_long");
      return absl::FailedPreconditionError(
          absl::StrCat("prompt of ", prompt, " tokens and ", wanted - prompt,
                       " to generate exceed max_context ", info_.max_context));
    }
    const absl::Status in_prompt = CheckTokens(request.prompt, info_.vocab_size, "prompt");
    if (!in_prompt.ok()) return Refuse(in_prompt);
    const absl::Status in_answer = CheckTokens(request.generated, info_.vocab_size, "generated");
    return in_answer.ok() ? in_answer : Refuse(in_answer);
  }

  absl::Status Refuse(absl::Status status) {
    metrics_.Rejected("invalid");
    return status;
  }

  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_all();
  }

  // ---- the loop's thread ----

  void Run() {
    bool busy = false;
    while (true) {
      Mail mail;
      {
        std::unique_lock lock(mutex_);
        if (!busy) changed_.wait(lock, [this] { return HasNewsLocked(); });
        woken_ = false;
        if (stopping_) break;
        mail = TakeMailLocked();
      }
      Deliver(std::move(mail));
      busy = loop_.Tick();
    }
    ShutDown();
  }

  bool HasNewsLocked() const {
    return stopping_ || woken_ || !arrivals_.empty() || !cancellations_.empty() || !drops_.empty();
  }

  Mail TakeMailLocked() {
    draining_ = static_cast<int64_t>(arrivals_.size());
    return {std::exchange(arrivals_, {}), std::exchange(cancellations_, {}),
            std::exchange(drops_, {})};
  }

  void Deliver(Mail mail) {
    for (auto& sequence : mail.arrivals) loop_.Accept(std::move(sequence));
    {
      const std::lock_guard lock(mutex_);
      draining_ = 0;
    }
    for (const RequestId id : mail.cancellations) loop_.Cancel(id);
    for (std::promise<int64_t>& drop : mail.drops) drop.set_value(pages_.DropMemory());
  }

  void ShutDown() {
    Mail mail;
    {
      const std::lock_guard lock(mutex_);
      mail = TakeMailLocked();
    }
    Deliver(std::move(mail));
    loop_.CancelAll();
  }

  const EngineInfo info_;
  const int64_t max_waiting_;
  const base::Clock& clock_;
  EngineMetrics metrics_;

  mutable std::mutex mutex_;  // guards the mail
  std::condition_variable changed_;
  bool stopping_ = false;
  bool woken_ = false;
  RequestId last_id_ = 0;
  int64_t draining_ = 0;  // arrivals on their way from here into the loop
  std::vector<std::unique_ptr<Sequence>> arrivals_;
  std::vector<RequestId> cancellations_;
  std::vector<std::promise<int64_t>> drops_;

  // Behind the mail: the tier's threads call Wake until it is destroyed.
  const std::unique_ptr<model::Model> model_;
  SequencePages pages_;
  StepLoop loop_;
  std::thread thread_;
};

absl::Status CheckLimits(const config::EngineConfig& config) {
  if (config.max_batch_tokens < 1 || config.max_running_requests < 1 ||
      config.max_waiting_requests < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("limits must be at least 1: max_batch_tokens ", config.max_batch_tokens,
                     ", max_running_requests ", config.max_running_requests,
                     ", max_waiting_requests ", config.max_waiting_requests));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> MakeEngine(EngineParts parts,
                                                   const config::EngineConfig& config,
                                                   base::Metrics& metrics,
                                                   const base::Clock& clock) {
  RETURN_IF_ERROR(CheckLimits(config));
  const cache::KvLayout layout = parts.model->kv_layout();
  const int64_t num_pages = config.kv_cache_bytes / std::max<int64_t>(1, layout.page_bytes());
  if (num_pages < 1) {
    return absl::InvalidArgumentError(absl::StrCat("kv_cache_bytes ", config.kv_cache_bytes,
                                                   " is less than one page of ",
                                                   layout.page_bytes(), " bytes"));
  }
  auto pool = cache::BlockPool::Create(layout, num_pages);
  if (!pool.ok()) return base::ToStatus(pool.error());
  const config::ModelConfig& model = parts.model->config();
  EngineInfo info;
  info.model_name = parts.model_name;
  info.pattern = parts.model->policy().pattern();
  info.numerics_id = parts.model->numerics_id();
  info.device = "cpu";
  info.max_context = std::min(num_pages * cache::kPageSize, model.max_position_embeddings);
  info.vocab_size = model.vocab_size;
  info.page_bytes = layout.page_bytes();
  info.eos_token_ids = model.eos_token_ids;
  const cache::PageKey name_space = cache::NamespaceKey(
      {parts.model_fingerprint, info.pattern, info.numerics_id,
       absl::StrCat("latent_norm_eps ", config.latent_norm_eps), "token layout 1"});
  return std::make_unique<EngineImpl>(std::move(parts), std::move(*pool), name_space,
                                      std::move(info), config, metrics, clock);
}

}  // namespace lectern::runtime
