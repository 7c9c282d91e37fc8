#include "services/frontend/server_runtime.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/log.h"
#include "engine/base/status.h"
#include "engine/config/model_config.h"
#include "services/frontend/stall_detector.h"

namespace lectern::frontend {
namespace {

constexpr int kCallThreads = 4;
constexpr size_t kCallsQueued = 1024;
constexpr int kAnsweringThreads = 3;
constexpr size_t kIngestsQueued = 64;
constexpr auto kWatchInterval = std::chrono::seconds(1);
// A step takes about a second at worst (512 tokens of prefill on a slow machine).
constexpr auto kStallPatience = std::chrono::seconds(60);
constexpr int kSweepEvery = 3600;  // watch intervals

std::string_view ModelTypeName(config::ModelType type) {
  switch (type) {
    case config::ModelType::kGlmMoeDsa:
      return "glm_moe_dsa";
    case config::ModelType::kDeepseekV32:
      return "deepseek_v32";
    case config::ModelType::kGlm4MoeLite:
      return "glm4_moe_lite";
  }
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerRuntime>> ServerRuntime::Start(const ServerOptions& options) {
  auto runtime = std::unique_ptr<ServerRuntime>(new ServerRuntime(options));
  RETURN_IF_ERROR(runtime->OpenState());
  if (options.start_engine) RETURN_IF_ERROR(runtime->StartEngine());
  RETURN_IF_ERROR(runtime->StartRunners());
  runtime->watcher_ = std::thread([raw = runtime.get()] { raw->Watch(); });
  return runtime;
}

absl::Status ServerRuntime::OpenState() {
  if (options_.data_directory.empty())
    return absl::InvalidArgumentError("no data directory is given");
  ASSIGN_OR_RETURN(lock_, DataDirectoryLock::Acquire(options_.data_directory));
  ASSIGN_OR_RETURN(state_, state::OpenRocksDbStateStore(options_.data_directory + "/state"));
  ASSIGN_OR_RETURN(store_, documents::DocumentStore::Create(*state_, clock_, {}));
  return absl::OkStatus();
}

absl::Status ServerRuntime::StartEngine() {
  config::EngineConfig engine_config = options_.engine;
  if (engine_config.disk_tier_directory.empty()) {
    engine_config.disk_tier_directory = options_.data_directory + "/pages";
  }
  const std::string& model = engine_config.model_directory;
  ASSIGN_OR_RETURN(const config::ModelConfig model_config, config::LoadModelConfig(model));
  ASSIGN_OR_RETURN(tokenizer_, tokenizer::Tokenizer::Load(model));
  ASSIGN_OR_RETURN(auto chat, tokenizer::ChatFormat::ForModel(
                                  *tokenizer_, ModelTypeName(model_config.model_type), model));
  ASSIGN_OR_RETURN(auto engine, Engine::Create(engine_config, metrics_, clock_));
  const EngineInfo info = engine->info();
  // A prompt may hold any token of the tokenizer; the model must know them all.
  if (tokenizer_->vocab_size() > info.vocab_size) {
    return absl::FailedPreconditionError(absl::StrCat(model, ": the tokenizer has ",
                                                      tokenizer_->vocab_size(),
                                                      " tokens, the model only ", info.vocab_size));
  }
  worker_ = worker::MakeInProcessWorker(std::move(engine));
  const int64_t reliable = chat.card().reliable_context.value_or(0);
  prompts_ =
      std::make_unique<PromptBuilder>(*tokenizer_, std::move(chat), *store_,
                                      PromptLimits{info.max_context, reliable, info.eos_token_ids});
  base::Log(base::LogLevel::kInfo, "server",
            absl::StrCat("model ", info.model_name, ", pattern ", info.pattern, ", ", info.device,
                         ", ", info.numerics_id, ", context ", info.max_context));
  return absl::OkStatus();
}

absl::Status ServerRuntime::StartRunners() {
  events_ = std::make_unique<EventLog>(*state_, metrics_);
  requests_ = std::make_unique<RequestLog>(*state_, clock_);
  RETURN_IF_ERROR(requests_->Sweep());
  calls_ = std::make_unique<TaskPool>(kCallThreads, kCallsQueued);
  answering_ = std::make_unique<TaskPool>(kAnsweringThreads, kCallsQueued);
  ingest_ = std::make_unique<TaskPool>(std::max(1, options_.ingest_threads), kIngestsQueued);
  if (worker_) {
    answers_ = std::make_unique<AnswerContext>(
        AnswerContext{*worker_, *prompts_, *answering_, metrics_, clock_});
  }
  catalog_ = std::make_unique<DocumentCatalog>(*store_, *state_, *requests_, prompts_.get(),
                                               metrics_, clock_);
  const ServiceContext context{*state_,     *events_, *requests_, *store_,
                               *answering_, metrics_, clock_,     answers_.get()};
  JobRunnerOptions jobs;
  jobs.running_max = std::max(1, options_.jobs_running_max);
  jobs_ = std::make_unique<JobRunner>(context, jobs);
  sessions_ = std::make_unique<SessionRunner>(context, SessionRunnerOptions{});
  statistics_ = std::make_unique<Statistics>(Statistics::Parts{
      *catalog_, *jobs_, *sessions_, worker_.get(), prompts_ ? prompts_->reach() : 0,
      options_.engine.disk_tier_bytes, metrics_, clock_});
  RETURN_IF_ERROR(jobs_->Resume());
  RETURN_IF_ERROR(sessions_->Resume());
  health_.Set("lectern.v1.Documents", true);
  health_.Set("lectern.v1.Admin", true);
  if (worker_) {
    health_.Set("lectern.v1.Jobs", true);
    health_.Set("lectern.v1.Sessions", true);
  }
  return absl::OkStatus();
}

// Once a second: does the engine move? Once an hour: old request ids.
void ServerRuntime::Watch() {
  StallDetector detector(kStallPatience);
  std::unique_lock lock(stop_mutex_);
  for (int tick = 1; !stop_changed_.wait_for(lock, kWatchInterval, [this] { return stopping_; });
       ++tick) {
    lock.unlock();
    if (worker_) {
      const bool stalled = detector.Stalled(worker_->Stats(), clock_.Now());
      health_.Set("lectern.v1.Jobs", !stalled);
      health_.Set("lectern.v1.Sessions", !stalled);
    }
    if (tick % kSweepEvery == 0) {
      const absl::Status swept = requests_->Sweep();
      if (!swept.ok()) base::Log(base::LogLevel::kWarning, "server", base::ToStd(swept.message()));
    }
    lock.lock();
  }
}

void ServerRuntime::Stop() {
  {
    const std::lock_guard lock(stop_mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  stop_changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  if (jobs_) jobs_->Stop();
  if (sessions_) sessions_->Stop();
  ingest_.reset();
  calls_.reset();
  if (worker_) {
    const absl::Status flushed = worker_->FlushTiers();
    if (!flushed.ok())
      base::Log(base::LogLevel::kWarning, "server", base::ToStd(flushed.message()));
  }
  // The engine's last callbacks still enqueue: its end comes before the pool's.
  worker_.reset();
  answering_.reset();
}

ServerRuntime::~ServerRuntime() { Stop(); }

}  // namespace lectern::frontend
