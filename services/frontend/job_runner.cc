#include "services/frontend/job_runner.h"

#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/log.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/frontend/pages.h"
#include "services/frontend/request_checks.h"
#include "services/frontend/resource_names.h"
#include "services/frontend/state_keys.h"
#include "services/frontend/timestamps.h"

namespace lectern::frontend {
namespace {

// How long a Cancel waits for the end to be durable; it takes milliseconds where the disk works.
constexpr auto kCancelWait = std::chrono::seconds(5);

bool Ended(const v1::Job& job) {
  return job.state() == v1::JOB_STATE_SUCCEEDED || job.state() == v1::JOB_STATE_FAILED ||
         job.state() == v1::JOB_STATE_CANCELLED;
}

}  // namespace

JobRunner::JobRunner(const ServiceContext& context, const JobRunnerOptions& options)
    : context_(context), options_(options) {}

JobRunner::~JobRunner() { Stop(); }

absl::Status JobRunner::Resume() {
  std::vector<std::string> unfinished;
  int64_t count = 0;
  RETURN_IF_ERROR(context_.state.Scan(
      keys::kJobs, state::PrefixEnd(keys::kJobs),
      [&](std::string_view key, std::string_view value) {
        v1::Job job;
        ++count;
        if (!job.ParseFromArray(value.data(), static_cast<int>(value.size())) || Ended(job))
          return true;
        unfinished.emplace_back(key.substr(keys::kJobs.size()));
        return true;
      }));
  {
    const std::lock_guard lock(mutex_);
    count_ = count;
  }
  if (context_.answers == nullptr) return absl::OkStatus();
  for (const std::string& id : unfinished) Enqueue(id, context_.clock.Now());
  return absl::OkStatus();
}

absl::StatusOr<v1::Job> JobRunner::Load(const std::string& id) const {
  const absl::StatusOr<std::string> bytes = context_.state.Get(keys::Job(id));
  if (absl::IsNotFound(bytes.status())) return common::ResourceNotFound("jobs/" + id);
  if (!bytes.ok()) return bytes.status();
  v1::Job job;
  if (!job.ParseFromString(*bytes))
    return absl::DataLossError(absl::StrCat("damaged record of jobs/", id));
  return job;
}

// Refuses before anything is stored: documents that do not exist, a prompt beyond the context.
absl::Status JobRunner::CheckPrompts(const v1::CreateJobRequest& request) {
  if (context_.answers == nullptr) {
    return common::PreconditionFailed("NO_MODEL", "server", "this process runs no model");
  }
  const auto longest = std::max_element(request.questions().begin(), request.questions().end(),
                                        [](const v1::Question& a, const v1::Question& b) {
                                          return a.text().size() < b.text().size();
                                        });
  PromptRequest prompt;
  prompt.documents.assign(request.documents().begin(), request.documents().end());
  prompt.turns.push_back({.user = longest->text(), .assistant = std::nullopt, .assistant_ids = {}});
  prompt.whole = request.options().whole();
  prompt.max_new_tokens = request.options().sampling().max_new_tokens();
  return context_.answers->prompts.Build(prompt).status();
}

absl::StatusOr<std::string> JobRunner::Store(const v1::CreateJobRequest& request,
                                             const RequestLog::Remember& remember) {
  RETURN_IF_ERROR(CheckPrompts(request));
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return absl::UnavailableError("the server is shutting down");
    if (queued_.size() >= options_.queued_max) {
      context_.metrics.Add("lectern_admission_rejections_total", 1, {{"reason", "jobs_queue"}});
      return common::Overloaded("JOBS_QUEUE_FULL", "too many jobs wait", std::chrono::seconds(5),
                                {{"queued", absl::StrCat(queued_.size())}});
    }
  }
  v1::Job job;
  const std::string id = NewId(context_.clock);
  job.set_name("jobs/" + id);
  *job.mutable_documents() = request.documents();
  *job.mutable_questions() = request.questions();
  *job.mutable_options() = request.options();
  job.set_state(v1::JOB_STATE_QUEUED);
  *job.mutable_create_time() = WallTimestamp(context_.clock);
  *job.mutable_update_time() = job.create_time();
  std::string reply = job.SerializeAsString();
  std::vector<state::Mutation> mutations = {{keys::Job(id), reply}};
  remember(reply, mutations);
  RETURN_IF_ERROR(context_.state.Write(mutations, state::Durability::kSynced));
  return reply;
}

absl::StatusOr<v1::Job> JobRunner::Create(const v1::CreateJobRequest& request) {
  const auto accepted = context_.clock.Now();
  RETURN_IF_ERROR(CheckCreateJob(request));
  bool created = false;
  ASSIGN_OR_RETURN(
      const std::string reply,
      context_.requests.Once("CreateJob", request.request_id(), request.SerializeAsString(),
                             [&](const RequestLog::Remember& remember) {
                               auto stored = Store(request, remember);
                               created = stored.ok();
                               return stored;
                             }));
  v1::Job job;
  if (!job.ParseFromString(reply)) return absl::DataLossError("stored reply is damaged");
  if (created) {
    {
      const std::lock_guard lock(mutex_);
      ++count_;
    }
    Enqueue(*ParseName("jobs", job.name()), accepted);
  }
  return job;
}

void JobRunner::Enqueue(const std::string& id, std::chrono::nanoseconds accepted) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    queued_.push_back({id, accepted});
  }
  Pump();
}

void JobRunner::Pump() {
  const std::lock_guard lock(mutex_);
  while (!stopped_ && !queued_.empty() &&
         running_.size() < static_cast<size_t>(options_.running_max)) {
    const Waiting next = queued_.front();
    queued_.pop_front();
    running_.emplace(next.id, nullptr);
    context_.pool.Post([this, next] { Run(next.id, next.accepted); });
  }
  context_.metrics.Set("lectern_jobs_running", static_cast<double>(running_.size()), {});
  context_.metrics.Set("lectern_jobs_queued", static_cast<double>(queued_.size()), {});
}

absl::StatusOr<std::shared_ptr<JobRun>> JobRunner::MakeRun(const std::string& id,
                                                           std::chrono::nanoseconds accepted) {
  ASSIGN_OR_RETURN(v1::Job job, Load(id));
  if (Ended(job)) return std::shared_ptr<JobRun>();
  ASSIGN_OR_RETURN(const auto events, context_.events.ReadAll(job.name()));
  ASSIGN_OR_RETURN(auto stream, context_.events.Open(job.name()));
  std::vector<StoredAnswer> stored = SummarizeEvents(events, job.questions_size());
  return std::make_shared<JobRun>(context_.answers, context_.clock, std::move(job),
                                  std::move(stored), std::move(stream), accepted,
                                  [this, id](const absl::Status& status) { OnRunEnd(id, status); });
}

void JobRunner::Run(const std::string& id, std::chrono::nanoseconds accepted) {
  absl::StatusOr<std::shared_ptr<JobRun>> run = MakeRun(id, accepted);
  if (!run.ok() || *run == nullptr) {
    // Cancelled or deleted while it waited, or its record cannot be read.
    return OnRunEnd(id, absl::IsNotFound(run.status()) ? absl::OkStatus() : run.status());
  }
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    running_[id] = *run;
  }
  (*run)->Start();
}

void JobRunner::OnRunEnd(const std::string& id, const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    running_.erase(id);
    if (stopped_) return;
  }
  if (!status.ok()) {
    base::Log(base::LogLevel::kWarning, "jobs",
              absl::StrCat("jobs/", id, " broke off and will be tried again: ",
                           base::ToAbsl(status.ToString())));
    context_.pool.PostAfter(options_.retry_delay,
                            [this, id] { Enqueue(id, context_.clock.Now()); });
  }
  Pump();
}

absl::StatusOr<v1::Job> JobRunner::Get(const std::string& name) {
  ASSIGN_OR_RETURN(const std::string id, RequireJobId("name", name));
  ASSIGN_OR_RETURN(v1::Job job, Load(id));
  bool damaged = false;
  RETURN_IF_ERROR(context_.state.Scan(
      keys::AnswerPrefix(id), state::PrefixEnd(keys::AnswerPrefix(id)),
      [&](std::string_view, std::string_view value) {
        damaged = !job.add_answers()->ParseFromArray(value.data(), static_cast<int>(value.size()));
        return !damaged;
      }));
  if (damaged) return absl::DataLossError(absl::StrCat("damaged answer of ", name));
  if (!Ended(job)) {
    ASSIGN_OR_RETURN(const auto stream, context_.events.Open(job.name()));
    job.set_last_seq(stream->last_seq());
  }
  return job;
}

absl::StatusOr<v1::ListJobsResponse> JobRunner::List(const v1::ListJobsRequest& request) {
  v1::ListJobsResponse response;
  ASSIGN_OR_RETURN(
      std::string next,
      ReadPage(context_.state, {keys::kJobs, request.page_size(), request.page_token()},
               [&](std::string_view value) {
                 return response.add_jobs()->ParseFromArray(value.data(),
                                                            static_cast<int>(value.size()));
               }));
  response.set_next_page_token(std::move(next));
  return response;
}

// A job that is not running: every question that has no answer ends here and now.
absl::Status JobRunner::CancelStored(const std::string& id) {
  ASSIGN_OR_RETURN(v1::Job job, Load(id));
  if (Ended(job)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto events, context_.events.ReadAll(job.name()));
  ASSIGN_OR_RETURN(auto stream, context_.events.Open(job.name()));
  std::vector<StoredAnswer> stored = SummarizeEvents(events, job.questions_size());
  const auto run =
      std::make_shared<JobRun>(nullptr, context_.clock, std::move(job), std::move(stored),
                               std::move(stream), context_.clock.Now(), [](const absl::Status&) {});
  return run->Cancel();
}

absl::StatusOr<v1::Job> JobRunner::Cancel(const v1::CancelJobRequest& request) {
  common::FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  ASSIGN_OR_RETURN(const std::string id, RequireJobId("name", request.name()));
  RETURN_IF_ERROR(Load(id).status());
  const auto deadline = context_.clock.Now() + kCancelWait;
  while (context_.clock.Now() < deadline) {
    std::shared_ptr<JobRun> run;
    bool starting = false;
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(queued_, [&](const Waiting& waiting) { return waiting.id == id; });
      const auto found = running_.find(id);
      if (found != running_.end()) run = found->second;
      starting = found != running_.end() && run == nullptr;
    }
    if (starting) {  // between queue and run, for milliseconds
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (run == nullptr) {
      RETURN_IF_ERROR(CancelStored(id));
    } else {
      RETURN_IF_ERROR(run->Cancel());
      run->stream()->WaitForEnd(kCancelWait);
    }
    break;
  }
  return Get(request.name());
}

absl::Status JobRunner::Delete(const v1::DeleteJobRequest& request) {
  common::FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  return context_.requests
      .OnceAfter<v1::DeleteJobRequest, google::protobuf::Empty>(
          "DeleteJob", request,
          [&]() -> absl::StatusOr<google::protobuf::Empty> {
            RETURN_IF_ERROR(DeleteOnce(request));
            return google::protobuf::Empty();
          })
      .status();
}

absl::Status JobRunner::DeleteOnce(const v1::DeleteJobRequest& request) {
  v1::CancelJobRequest cancel;
  cancel.set_name(request.name());
  RETURN_IF_ERROR(Cancel(cancel).status());
  ASSIGN_OR_RETURN(const std::string id, RequireJobId("name", request.name()));
  ASSIGN_OR_RETURN(const auto stream, context_.events.Open(request.name()));
  if (!stream->ended()) return absl::AbortedError("the job is still ending; try again");
  ASSIGN_OR_RETURN(std::vector<state::Mutation> mutations,
                   context_.events.Deletions(request.name()));
  RETURN_IF_ERROR(context_.state.Scan(keys::AnswerPrefix(id),
                                      state::PrefixEnd(keys::AnswerPrefix(id)),
                                      [&](std::string_view key, std::string_view) {
                                        mutations.push_back({std::string(key), std::nullopt});
                                        return true;
                                      }));
  mutations.push_back({keys::Job(id), std::nullopt});
  RETURN_IF_ERROR(context_.state.Write(mutations, state::Durability::kSynced));
  context_.events.Remove(request.name(), common::ResourceNotFound(request.name()));
  const std::lock_guard lock(mutex_);
  --count_;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<EventStream>> JobRunner::Watch(const v1::WatchJobRequest& request) {
  if (request.after_seq() < 0) return common::InvalidField("after_seq", "must not be negative");
  ASSIGN_OR_RETURN(const std::string id, RequireJobId("name", request.name()));
  RETURN_IF_ERROR(Load(id).status());
  return context_.events.Open(request.name());
}

int64_t JobRunner::Count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

void JobRunner::Stop() {
  std::map<std::string, std::shared_ptr<JobRun>> running;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    queued_.clear();
    running.swap(running_);
  }
  for (const auto& [id, run] : running) {
    if (run == nullptr) continue;
    run->Abandon();
    run->stream()->Close(absl::UnavailableError("the server is shutting down; watch again"));
  }
}

}  // namespace lectern::frontend
