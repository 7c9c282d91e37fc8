#pragma once
// Everything of a server but its sockets: state, documents, engine, runners. Free of gRPC.

#include <atomic>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "services/common/health_state.h"
#include "services/common/prometheus_metrics.h"
#include "services/frontend/data_directory.h"
#include "services/frontend/document_catalog.h"
#include "services/frontend/job_runner.h"
#include "services/frontend/server.h"
#include "services/frontend/session_runner.h"
#include "services/frontend/statistics.h"

namespace lectern::frontend {

class ServerRuntime {
 public:
  // As Server::Start. Jobs and turns that an earlier process left go on at once.
  static absl::StatusOr<std::unique_ptr<ServerRuntime>> Start(const ServerOptions& options);
  ~ServerRuntime();

  // After the last call has ended: nothing is stored any more, tiers are flushed, the engine ends.
  void Stop();

  common::PrometheusMetrics& metrics() { return metrics_; }
  common::HealthState& health() { return health_; }
  TaskPool& calls() { return *calls_; }
  TaskPool& ingest() { return *ingest_; }
  DocumentCatalog& documents() { return *catalog_; }
  JobRunner& jobs() { return *jobs_; }
  SessionRunner& sessions() { return *sessions_; }
  Statistics& statistics() { return *statistics_; }
  DataDirectoryLock& lock() { return *lock_; }
  const base::Clock& clock() const { return clock_; }
  const AnswerContext* answers() const { return answers_.get(); }  // null: no engine

 private:
  explicit ServerRuntime(const ServerOptions& options) : options_(options) {}
  absl::Status OpenState();
  absl::Status StartEngine();
  absl::Status StartRunners();
  void Watch();

  const ServerOptions options_;
  const base::Clock& clock_ = base::SystemClock();
  common::PrometheusMetrics metrics_;
  common::HealthState health_;
  std::unique_ptr<DataDirectoryLock> lock_;
  std::unique_ptr<state::StateStore> state_;
  std::unique_ptr<documents::DocumentStore> store_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<worker::Worker> worker_;
  std::unique_ptr<PromptBuilder> prompts_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<RequestLog> requests_;
  // Calls wait for answers (a cancellation for its end), so answers have threads of their own.
  std::unique_ptr<TaskPool> calls_;
  std::unique_ptr<TaskPool> answering_;
  std::unique_ptr<TaskPool> ingest_;
  std::unique_ptr<AnswerContext> answers_;
  std::unique_ptr<DocumentCatalog> catalog_;
  std::unique_ptr<JobRunner> jobs_;
  std::unique_ptr<SessionRunner> sessions_;
  std::unique_ptr<Statistics> statistics_;
  std::thread watcher_;
  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  bool stopping_ = false;
};

}  // namespace lectern::frontend
