#include "services/frontend/session_runner.h"

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

constexpr auto kCancelWait = std::chrono::seconds(5);

bool Ended(const v1::Turn& turn) {
  return turn.state() != v1::JOB_STATE_QUEUED && turn.state() != v1::JOB_STATE_RUNNING;
}

v1::JobState StateOf(const v1::Answer& answer) {
  switch (answer.finish_reason()) {
    case v1::FINISH_REASON_CANCELLED:
      return v1::JOB_STATE_CANCELLED;
    case v1::FINISH_REASON_ERROR:
      return v1::JOB_STATE_FAILED;
    default:
      return v1::JOB_STATE_SUCCEEDED;
  }
}

}  // namespace

struct SessionRunner::TurnRun {
  std::shared_ptr<EventStream> stream;
  std::shared_ptr<RunningAnswer> answer;  // guarded by the runner's mutex
  std::mutex mutex;
  v1::Turn turn;  // as stored; guarded by `mutex`
};

SessionRunner::SessionRunner(const ServiceContext& context, const SessionRunnerOptions& options)
    : context_(context), options_(options) {}

SessionRunner::~SessionRunner() { Stop(); }

// A client that has seen the end of a turn may go on at once: the end is visible a moment before
// the turn is cleared away here, and that moment is waited for.
absl::StatusOr<SessionRunner::Busy> SessionRunner::Reserve(const std::string& id) {
  std::unique_lock lock(mutex_);
  const std::string prefix = absl::StrCat("sessions/", id, "/turns/");
  const auto ending = [&] {
    const auto turn = running_.lower_bound(prefix);
    return turn != running_.end() && turn->first.starts_with(prefix) &&
           turn->second->stream->ended();
  };
  freed_.wait_for(lock, kCancelWait, [&] { return stopped_ || !busy_.contains(id) || !ending(); });
  if (stopped_) return absl::UnavailableError("the server is shutting down");
  if (!busy_.insert(id).second) {
    return common::MakeError(absl::StatusCode::kAborted, "TURN_RUNNING",
                             absl::StrCat("a turn of sessions/", id, " is running"),
                             {{"session", "sessions/" + id}});
  }
  return Busy(this, id);
}

absl::Status SessionRunner::Resume() {
  int64_t count = 0;
  RETURN_IF_ERROR(context_.state.Scan(keys::kSessions, state::PrefixEnd(keys::kSessions),
                                      [&](std::string_view, std::string_view) {
                                        ++count;
                                        return true;
                                      }));
  AddToCount(count);
  if (context_.answers == nullptr) return absl::OkStatus();
  std::vector<std::string> names;
  RETURN_IF_ERROR(context_.state.Scan(keys::kLiveTurns, state::PrefixEnd(keys::kLiveTurns),
                                      [&](std::string_view key, std::string_view) {
                                        names.emplace_back(key.substr(keys::kLiveTurns.size()));
                                        return true;
                                      }));
  for (const std::string& name : names) {
    const absl::Status resumed = ResumeTurn(name);
    if (!resumed.ok()) {
      base::Log(base::LogLevel::kError, "sessions",
                absl::StrCat(name, " cannot go on: ", base::ToAbsl(resumed.ToString())));
    }
  }
  return absl::OkStatus();
}

absl::Status SessionRunner::ResumeTurn(const std::string& name) {
  const auto parsed = ParseTurnName(name);
  if (!parsed) return absl::DataLossError("damaged name of a live turn");
  ASSIGN_OR_RETURN(v1::Turn turn, LoadTurn(parsed->session_id, parsed->number));
  if (Ended(turn)) return absl::OkStatus();
  ASSIGN_OR_RETURN(Busy busy, Reserve(parsed->session_id));
  ASSIGN_OR_RETURN(const v1::Session session, Load(parsed->session_id));
  ASSIGN_OR_RETURN(PromptRequest prompt,
                   MakePrompt(session, parsed->session_id, parsed->number - 1));
  prompt.turns.push_back({.user = turn.message(), .assistant = std::nullopt, .assistant_ids = {}});
  prompt.max_new_tokens = turn.options().sampling().max_new_tokens();
  if (parsed->number == 1) prompt.whole = turn.options().whole();
  ASSIGN_OR_RETURN(const auto events, context_.events.ReadAll(name));
  ASSIGN_OR_RETURN(auto stream, context_.events.Open(name));
  StoredAnswer stored = std::move(SummarizeEvents(events, 1)[0]);
  busy.HandOver();
  Launch(std::move(turn), std::move(prompt), nullptr, std::move(stored), std::move(stream),
         context_.clock.Now());
  return absl::OkStatus();
}

absl::StatusOr<v1::Session> SessionRunner::Load(const std::string& id) const {
  const absl::StatusOr<std::string> bytes = context_.state.Get(keys::Session(id));
  if (absl::IsNotFound(bytes.status())) return common::ResourceNotFound("sessions/" + id);
  if (!bytes.ok()) return bytes.status();
  v1::Session session;
  if (!session.ParseFromString(*bytes)) {
    return absl::DataLossError(absl::StrCat("damaged record of sessions/", id));
  }
  return session;
}

absl::StatusOr<v1::Turn> SessionRunner::LoadTurn(const std::string& session_id,
                                                 int32_t number) const {
  const absl::StatusOr<std::string> bytes = context_.state.Get(keys::Turn(session_id, number));
  const std::string name = MakeTurnName(session_id, number);
  if (absl::IsNotFound(bytes.status())) return common::ResourceNotFound(name);
  if (!bytes.ok()) return bytes.status();
  v1::Turn turn;
  if (!turn.ParseFromString(*bytes))
    return absl::DataLossError(absl::StrCat("damaged record of ", name));
  return turn;
}

absl::StatusOr<v1::Session> SessionRunner::Create(const v1::CreateSessionRequest& request) {
  RETURN_IF_ERROR(CheckCreateSession(request));
  for (const std::string& name : request.documents()) {
    RETURN_IF_ERROR(context_.documents.Get(name).status());
  }
  const auto store = [&](const RequestLog::Remember& remember) -> absl::StatusOr<std::string> {
    const std::string id = NewId(context_.clock);
    v1::Session session;
    session.set_name("sessions/" + id);
    *session.mutable_documents() = request.documents();
    session.set_display_name(request.display_name());
    *session.mutable_create_time() = WallTimestamp(context_.clock);
    std::string reply = session.SerializeAsString();
    std::vector<state::Mutation> mutations = {{keys::Session(id), reply}};
    remember(reply, mutations);
    RETURN_IF_ERROR(context_.state.Write(mutations, state::Durability::kSynced));
    AddToCount(1);
    return reply;
  };
  ASSIGN_OR_RETURN(const std::string reply,
                   context_.requests.Once("CreateSession", request.request_id(),
                                          request.SerializeAsString(), store));
  v1::Session session;
  if (!session.ParseFromString(reply)) return absl::DataLossError("stored reply is damaged");
  return session;
}

absl::StatusOr<v1::Session> SessionRunner::Get(const std::string& name) const {
  ASSIGN_OR_RETURN(const std::string id, RequireSessionId("name", name));
  return Load(id);
}

absl::StatusOr<v1::ListSessionsResponse> SessionRunner::List(
    const v1::ListSessionsRequest& request) const {
  v1::ListSessionsResponse response;
  ASSIGN_OR_RETURN(
      std::string next,
      ReadPage(context_.state, {keys::kSessions, request.page_size(), request.page_token()},
               [&](std::string_view value) {
                 return response.add_sessions()->ParseFromArray(value.data(),
                                                                static_cast<int>(value.size()));
               }));
  response.set_next_page_token(std::move(next));
  return response;
}

absl::StatusOr<v1::ListTurnsResponse> SessionRunner::ListTurns(
    const v1::ListTurnsRequest& request) {
  ASSIGN_OR_RETURN(const std::string id, RequireSessionId("session", request.session()));
  RETURN_IF_ERROR(Load(id).status());
  v1::ListTurnsResponse response;
  ASSIGN_OR_RETURN(
      std::string next,
      ReadPage(context_.state, {keys::TurnPrefix(id), request.page_size(), request.page_token()},
               [&](std::string_view value) {
                 return response.add_turns()->ParseFromArray(value.data(),
                                                             static_cast<int>(value.size()));
               }));
  for (v1::Turn& turn : *response.mutable_turns()) {
    if (Ended(turn)) continue;
    ASSIGN_OR_RETURN(const auto stream, context_.events.Open(turn.name()));
    turn.set_last_seq(stream->last_seq());
  }
  response.set_next_page_token(std::move(next));
  return response;
}

// Documents and the first `turns` turns, as tokens where they were generated.
absl::StatusOr<PromptRequest> SessionRunner::MakePrompt(const v1::Session& session,
                                                        const std::string& id,
                                                        int32_t turns) const {
  PromptRequest prompt;
  prompt.documents.assign(session.documents().begin(), session.documents().end());
  for (int32_t number = 1; number <= turns; ++number) {
    ASSIGN_OR_RETURN(const v1::Turn turn, LoadTurn(id, number));
    ASSIGN_OR_RETURN(const auto events, context_.events.ReadAll(turn.name()));
    StoredAnswer stored = std::move(SummarizeEvents(events, 1)[0]);
    prompt.turns.push_back({.user = turn.message(),
                            .assistant = turn.answer().raw_text(),
                            .assistant_ids = std::move(stored.generated)});
    // The first turn decides the scope for the whole conversation.
    if (number == 1) prompt.whole = turn.options().whole();
  }
  return prompt;
}

absl::StatusOr<std::string> SessionRunner::StartTurn(const v1::ConverseRequest& request,
                                                     const std::string& id,
                                                     std::chrono::nanoseconds accepted,
                                                     const RequestLog::Remember& remember) {
  if (context_.answers == nullptr) {
    return common::PreconditionFailed("NO_MODEL", "server", "this process runs no model");
  }
  ASSIGN_OR_RETURN(v1::Session session, Load(id));
  ASSIGN_OR_RETURN(Busy busy, Reserve(id));
  {
    const std::lock_guard lock(mutex_);
    if (running_.size() >= options_.turns_running_max) {
      context_.metrics.Add("lectern_admission_rejections_total", 1, {{"reason", "turns_running"}});
      return common::Overloaded("TOO_MANY_TURNS", "too many turns are running",
                                std::chrono::seconds(1),
                                {{"running", absl::StrCat(running_.size())}});
    }
  }
  ASSIGN_OR_RETURN(PromptRequest prompt, MakePrompt(session, id, session.turns()));
  prompt.turns.push_back(
      {.user = request.message(), .assistant = std::nullopt, .assistant_ids = {}});
  prompt.max_new_tokens = request.options().sampling().max_new_tokens();
  if (session.turns() == 0) prompt.whole = request.options().whole();
  ASSIGN_OR_RETURN(BuiltPrompt built, context_.answers->prompts.Build(prompt));

  v1::Turn turn;
  session.set_turns(session.turns() + 1);
  turn.set_name(MakeTurnName(id, session.turns()));
  turn.set_message(request.message());
  *turn.mutable_options() = request.options();
  turn.set_state(v1::JOB_STATE_RUNNING);
  std::string reply = turn.SerializeAsString();
  std::vector<state::Mutation> mutations = {{keys::Turn(id, session.turns()), reply},
                                            {keys::Session(id), session.SerializeAsString()},
                                            {keys::LiveTurn(turn.name()), ""}};
  remember(reply, mutations);
  ASSIGN_OR_RETURN(auto stream, context_.events.Open(turn.name()));
  RETURN_IF_ERROR(context_.state.Write(mutations, state::Durability::kSynced));
  busy.HandOver();
  Launch(std::move(turn), std::move(prompt), std::make_shared<const BuiltPrompt>(std::move(built)),
         {}, std::move(stream), accepted);
  return reply;
}

absl::StatusOr<SessionRunner::Conversation> SessionRunner::Converse(
    const v1::ConverseRequest& request, std::chrono::nanoseconds accepted) {
  RETURN_IF_ERROR(CheckConverse(request));
  ASSIGN_OR_RETURN(const std::string id, RequireSessionId("session", request.session()));
  const auto start = [&](const RequestLog::Remember& remember) {
    return StartTurn(request, id, accepted, remember);
  };
  ASSIGN_OR_RETURN(
      const std::string reply,
      context_.requests.Once("Converse", request.request_id(), request.SerializeAsString(), start));
  Conversation conversation;
  if (!conversation.turn.ParseFromString(reply))
    return absl::DataLossError("stored reply is damaged");
  ASSIGN_OR_RETURN(conversation.events, context_.events.Open(conversation.turn.name()));
  return conversation;
}

void SessionRunner::Launch(v1::Turn turn, PromptRequest prompt,
                           std::shared_ptr<const BuiltPrompt> built, StoredAnswer stored,
                           std::shared_ptr<EventStream> stream, std::chrono::nanoseconds accepted) {
  auto run = std::make_shared<TurnRun>();
  AnswerTask task;
  task.question_id = "0";
  task.question = turn.message();
  task.options = turn.options();
  task.prompt = std::move(prompt);
  task.built = std::move(built);
  task.started = stored.started;
  task.generated = std::move(stored.generated);
  task.accepted = accepted;
  task.store = [this, run](std::vector<v1::AnswerEvent> events) {
    return StoreEvents(run, std::move(events));
  };
  task.done = [this, name = turn.name()](const absl::Status& status) { OnTurnEnd(name, status); };
  const std::string name = turn.name();
  run->turn = std::move(turn);
  run->stream = std::move(stream);
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  running_[name] = run;
  run->answer = StartAnswer(*context_.answers, std::move(task));
}

absl::Status SessionRunner::StoreEvents(const std::shared_ptr<TurnRun>& run,
                                        std::vector<v1::AnswerEvent> events) {
  const std::lock_guard lock(run->mutex);
  if (!events.back().has_finished()) {
    return run->stream->Append(std::move(events), state::Durability::kLogged);
  }
  v1::Turn next = run->turn;
  *next.mutable_answer() = events.back().finished();
  next.set_state(StateOf(next.answer()));
  const auto companions = [&](int64_t last_seq) {
    next.set_last_seq(last_seq);
    const TurnName name = *ParseTurnName(next.name());
    return std::vector<state::Mutation>{
        {keys::Turn(name.session_id, name.number), next.SerializeAsString()},
        {keys::LiveTurn(next.name()), std::nullopt}};
  };
  RETURN_IF_ERROR(run->stream->Append(std::move(events), state::Durability::kSynced, companions));
  run->turn = std::move(next);
  return absl::OkStatus();
}

void SessionRunner::OnTurnEnd(const std::string& name, const absl::Status& status) {
  std::shared_ptr<TurnRun> ended;
  {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(name);
    if (found == running_.end()) return;
    ended = std::move(found->second);
    ended->answer.reset();  // which holds the run in turn
    running_.erase(found);
    busy_.erase(ParseTurnName(name)->session_id);
    freed_.notify_all();
    if (stopped_) return;
  }
  if (status.ok()) return;
  base::Log(
      base::LogLevel::kWarning, "sessions",
      absl::StrCat(name, " broke off and will be tried again: ", base::ToAbsl(status.ToString())));
  context_.pool.PostAfter(options_.retry_delay, [this, name] {
    const absl::Status resumed = ResumeTurn(name);
    if (!resumed.ok()) OnRetryFailed(name, resumed);
  });
}

void SessionRunner::OnRetryFailed(const std::string& name, const absl::Status& status) {
  base::Log(base::LogLevel::kError, "sessions",
            absl::StrCat(name, " cannot go on: ", base::ToAbsl(status.ToString())));
}

absl::StatusOr<std::shared_ptr<EventStream>> SessionRunner::Watch(
    const v1::WatchTurnRequest& request) {
  if (request.after_seq() < 0) return common::InvalidField("after_seq", "must not be negative");
  const auto name = ParseTurnName(request.turn());
  if (!name) return common::InvalidField("turn", "must be sessions/{id}/turns/{n}");
  RETURN_IF_ERROR(LoadTurn(name->session_id, name->number).status());
  return context_.events.Open(request.turn());
}

absl::StatusOr<v1::Turn> SessionRunner::CancelTurn(const v1::CancelTurnRequest& request) {
  common::FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  const auto name = ParseTurnName(request.turn());
  if (!name) violations.Add("turn", "must be sessions/{id}/turns/{n}");
  RETURN_IF_ERROR(violations.ToStatus());
  RETURN_IF_ERROR(LoadTurn(name->session_id, name->number).status());
  std::shared_ptr<RunningAnswer> answer;
  std::shared_ptr<EventStream> stream;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = running_.find(request.turn()); found != running_.end()) {
      answer = found->second->answer;
      stream = found->second->stream;
    }
  }
  if (answer != nullptr) {
    answer->Cancel();
    stream->WaitForEnd(kCancelWait);
  }
  return LoadTurn(name->session_id, name->number);
}

void SessionRunner::AddToCount(int64_t change) {
  const std::lock_guard lock(mutex_);
  count_ += change;
}

int64_t SessionRunner::Count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

void SessionRunner::Stop() {
  std::map<std::string, std::shared_ptr<TurnRun>> running;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    running.swap(running_);
    freed_.notify_all();
  }
  for (const auto& [name, run] : running) {
    run->answer->Abandon();
    run->answer.reset();
    run->stream->Close(absl::UnavailableError("the server is shutting down; watch again"));
  }
}

}  // namespace lectern::frontend
