#pragma once
// Jobs: durable before they are acknowledged, run in order of arrival, a bounded number at a time,
// gone on with after a restart.

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lectern/v1/services.pb.h"
#include "services/documents/document_store.h"
#include "services/frontend/answerer.h"
#include "services/frontend/event_log.h"
#include "services/frontend/job_run.h"
#include "services/frontend/request_log.h"
#include "services/frontend/task_pool.h"
#include "services/state/state_store.h"

namespace lectern::frontend {

struct JobRunnerOptions {
  int running_max = 8;
  size_t queued_max = 10'000;  // jobs beyond this are refused with RetryInfo
  std::chrono::nanoseconds retry_delay = std::chrono::seconds(5);  // after a job broke off
};

// What jobs and sessions stand on. Everything outlives them.
struct ServiceContext {
  state::StateStore& state;
  EventLog& events;
  RequestLog& requests;
  documents::DocumentStore& documents;
  TaskPool& pool;
  base::Metrics& metrics;
  const base::Clock& clock;
  const AnswerContext* answers = nullptr;  // null: no engine in this process
};

// Thread safe. Calls block for a write to the disk or a prompt: not for RPC threads.
class JobRunner {
 public:
  JobRunner(const ServiceContext& context, const JobRunnerOptions& options);
  ~JobRunner();

  // Queues what an earlier process left; once, before the first call.
  absl::Status Resume();

  absl::StatusOr<v1::Job> Create(const v1::CreateJobRequest& request);
  absl::StatusOr<v1::Job> Get(const std::string& name);
  absl::StatusOr<v1::ListJobsResponse> List(const v1::ListJobsRequest& request);
  absl::StatusOr<v1::Job> Cancel(const v1::CancelJobRequest& request);
  absl::Status Delete(const v1::DeleteJobRequest& request);
  absl::StatusOr<std::shared_ptr<EventStream>> Watch(const v1::WatchJobRequest& request);
  int64_t Count() const;

  // Nothing is stored any more; running jobs go on after the next start. Watchers get UNAVAILABLE.
  void Stop();

 private:
  absl::Status DeleteOnce(const v1::DeleteJobRequest& request);
  absl::StatusOr<v1::Job> Load(const std::string& id) const;
  absl::Status CheckPrompts(const v1::CreateJobRequest& request);
  absl::StatusOr<std::string> Store(const v1::CreateJobRequest& request,
                                    const RequestLog::Remember& remember);
  void Enqueue(const std::string& id, std::chrono::nanoseconds accepted);
  void Pump();
  void Run(const std::string& id, std::chrono::nanoseconds accepted);
  absl::StatusOr<std::shared_ptr<JobRun>> MakeRun(const std::string& id,
                                                  std::chrono::nanoseconds accepted);
  void OnRunEnd(const std::string& id, const absl::Status& status);
  absl::Status CancelStored(const std::string& id);

  struct Waiting {
    std::string id;
    std::chrono::nanoseconds accepted{0};
  };

  const ServiceContext context_;
  const JobRunnerOptions options_;
  mutable std::mutex mutex_;
  std::deque<Waiting> queued_;
  std::map<std::string, std::shared_ptr<JobRun>> running_;  // null while it is being loaded
  int64_t count_ = 0;
  bool stopped_ = false;
};

}  // namespace lectern::frontend
