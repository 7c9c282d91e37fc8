#pragma once
// Sessions and their turns. The prompt of a turn extends the prompt and the raw answer of the turn
// before, token for token, so that its pages are found again. A turn is durable before its first
// event and is gone on with after a restart.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lectern/v1/services.pb.h"
#include "services/frontend/job_runner.h"

namespace lectern::frontend {

struct SessionRunnerOptions {
  size_t turns_running_max = 64;  // turns beyond this are refused with RetryInfo
  std::chrono::nanoseconds retry_delay = std::chrono::seconds(5);  // after a turn broke off
};

// Thread safe. Calls block for a write to the disk or a prompt: not for RPC threads.
class SessionRunner {
 public:
  SessionRunner(const ServiceContext& context, const SessionRunnerOptions& options);
  ~SessionRunner();

  // Goes on with turns that an earlier process left; once, before the first call.
  absl::Status Resume();

  absl::StatusOr<v1::Session> Create(const v1::CreateSessionRequest& request);
  absl::StatusOr<v1::Session> Get(const std::string& name) const;
  absl::StatusOr<v1::ListSessionsResponse> List(const v1::ListSessionsRequest& request) const;
  absl::Status Delete(const v1::DeleteSessionRequest& request);
  absl::StatusOr<v1::ListTurnsResponse> ListTurns(const v1::ListTurnsRequest& request);

  struct Conversation {
    v1::Turn turn;
    std::shared_ptr<EventStream> events;
  };
  // `accepted`: when the call arrived; time to first token counts from there.
  absl::StatusOr<Conversation> Converse(const v1::ConverseRequest& request,
                                        std::chrono::nanoseconds accepted);
  absl::StatusOr<std::shared_ptr<EventStream>> Watch(const v1::WatchTurnRequest& request);
  absl::StatusOr<v1::Turn> CancelTurn(const v1::CancelTurnRequest& request);
  absl::StatusOr<v1::Session> Fork(const v1::ForkSessionRequest& request);
  absl::StatusOr<v1::Session> Rewind(const v1::RewindSessionRequest& request);
  int64_t Count() const;

  // As JobRunner::Stop.
  void Stop();

 private:
  struct TurnRun;

  // Marks a session as busy while it lives, or hands the mark over to a running turn.
  class Busy {
   public:
    Busy(SessionRunner* runner, std::string id) : runner_(runner), id_(std::move(id)) {}
    Busy(Busy&& other) noexcept
        : runner_(std::exchange(other.runner_, nullptr)), id_(std::move(other.id_)) {}
    ~Busy() {
      if (runner_ == nullptr) return;
      const std::lock_guard lock(runner_->mutex_);
      runner_->busy_.erase(id_);
    }
    void HandOver() { runner_ = nullptr; }

   private:
    SessionRunner* runner_;
    std::string id_;
  };

  absl::Status DeleteOnce(const v1::DeleteSessionRequest& request);
  absl::StatusOr<v1::Session> Load(const std::string& id) const;
  absl::StatusOr<v1::Turn> LoadTurn(const std::string& session_id, int32_t number) const;
  absl::StatusOr<PromptRequest> MakePrompt(const v1::Session& session, const std::string& id,
                                           int32_t turns) const;
  absl::StatusOr<std::string> StartTurn(const v1::ConverseRequest& request, const std::string& id,
                                        std::chrono::nanoseconds accepted,
                                        const RequestLog::Remember& remember);
  absl::StatusOr<std::string> ForkOnce(const v1::ForkSessionRequest& request,
                                       const RequestLog::Remember& remember);
  absl::StatusOr<std::string> RewindOnce(const v1::RewindSessionRequest& request,
                                         const RequestLog::Remember& remember);
  absl::Status CopyTurn(const std::string& from, const std::string& to, int32_t number,
                        std::vector<state::Mutation>& mutations) const;
  absl::Status DropTurn(const std::string& id, int32_t number,
                        std::vector<state::Mutation>& mutations) const;
  void RemoveStreams(const std::string& id, int32_t first, int32_t last);
  void Launch(v1::Turn turn, PromptRequest prompt, std::shared_ptr<const BuiltPrompt> built,
              StoredAnswer stored, std::shared_ptr<EventStream> stream,
              std::chrono::nanoseconds accepted);
  absl::Status StoreEvents(const std::shared_ptr<TurnRun>& run,
                           std::vector<v1::AnswerEvent> events);
  void OnTurnEnd(const std::string& name, const absl::Status& status);
  absl::Status ResumeTurn(const std::string& name);
  void OnRetryFailed(const std::string& name, const absl::Status& status);
  // ABORTED where a turn of the session runs; else no turn begins while the result lives.
  absl::StatusOr<Busy> Reserve(const std::string& id);
  void AddToCount(int64_t change);

  const ServiceContext context_;
  const SessionRunnerOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<TurnRun>> running_;  // by turn name
  std::condition_variable freed_;
  std::set<std::string> busy_;  // session ids with a turn or a change under way
  int64_t count_ = 0;
  bool stopped_ = false;
};

}  // namespace lectern::frontend
