// What changes the past of a session: fork, rewind, delete.
#include <google/protobuf/empty.pb.h>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/frontend/request_checks.h"
#include "services/frontend/resource_names.h"
#include "services/frontend/session_runner.h"
#include "services/frontend/state_keys.h"
#include "services/frontend/timestamps.h"

namespace lectern::frontend {
namespace {

absl::Status CheckTurns(int32_t turns, int32_t existing) {
  if (turns >= 0 && turns <= existing) return absl::OkStatus();
  return common::InvalidField("turns", absl::StrCat("must be from 0 to ", existing));
}

}  // namespace

absl::Status SessionRunner::Delete(const v1::DeleteSessionRequest& request) {
  common::FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  return context_.requests
      .OnceAfter<v1::DeleteSessionRequest, google::protobuf::Empty>(
          "DeleteSession", request,
          [&]() -> absl::StatusOr<google::protobuf::Empty> {
            RETURN_IF_ERROR(DeleteOnce(request));
            return google::protobuf::Empty();
          })
      .status();
}

absl::Status SessionRunner::DeleteOnce(const v1::DeleteSessionRequest& request) {
  ASSIGN_OR_RETURN(const std::string id, RequireSessionId("name", request.name()));
  ASSIGN_OR_RETURN(const v1::Session session, Load(id));
  if (session.turns() > 0) {
    v1::CancelTurnRequest cancel;
    cancel.set_turn(MakeTurnName(id, session.turns()));
    RETURN_IF_ERROR(CancelTurn(cancel).status());
  }
  ASSIGN_OR_RETURN(const Busy busy, Reserve(id));
  std::vector<state::Mutation> mutations = {{keys::Session(id), std::nullopt}};
  for (int32_t number = 1; number <= session.turns(); ++number) {
    RETURN_IF_ERROR(DropTurn(id, number, mutations));
  }
  RETURN_IF_ERROR(context_.state.Write(mutations, state::Durability::kSynced));
  RemoveStreams(id, 1, session.turns());
  AddToCount(-1);
  return absl::OkStatus();
}

absl::Status SessionRunner::CopyTurn(const std::string& from, const std::string& to, int32_t number,
                                     std::vector<state::Mutation>& mutations) const {
  ASSIGN_OR_RETURN(v1::Turn turn, LoadTurn(from, number));
  ASSIGN_OR_RETURN(const auto events, context_.events.ReadAll(turn.name()));
  turn.set_name(MakeTurnName(to, number));
  mutations.push_back({keys::Turn(to, number), turn.SerializeAsString()});
  for (const v1::AnswerEvent& event : events) {
    mutations.push_back(EventLog::Stored(turn.name(), event));
  }
  return absl::OkStatus();
}

absl::Status SessionRunner::DropTurn(const std::string& id, int32_t number,
                                     std::vector<state::Mutation>& mutations) const {
  const std::string name = MakeTurnName(id, number);
  ASSIGN_OR_RETURN(auto deletions, context_.events.Deletions(name));
  for (state::Mutation& deletion : deletions) mutations.push_back(std::move(deletion));
  mutations.push_back({keys::Turn(id, number), std::nullopt});
  mutations.push_back({keys::LiveTurn(name), std::nullopt});
  return absl::OkStatus();
}

absl::StatusOr<std::string> SessionRunner::ForkOnce(const v1::ForkSessionRequest& request,
                                                    const RequestLog::Remember& remember) {
  ASSIGN_OR_RETURN(const std::string id, RequireSessionId("session", request.session()));
  ASSIGN_OR_RETURN(v1::Session session, Load(id));
  ASSIGN_OR_RETURN(const Busy busy, Reserve(id));
  RETURN_IF_ERROR(CheckTurns(request.turns(), session.turns()));
  const std::string fork_id = NewId(context_.clock);
  if (request.turns() > 0) session.set_turns(request.turns());
  session.set_name("sessions/" + fork_id);
  *session.mutable_create_time() = WallTimestamp(context_.clock);
  std::string reply = session.SerializeAsString();
  std::vector<state::Mutation> mutations = {{keys::Session(fork_id), reply}};
  for (int32_t number = 1; number <= session.turns(); ++number) {
    RETURN_IF_ERROR(CopyTurn(id, fork_id, number, mutations));
  }
  remember(reply, mutations);
  RETURN_IF_ERROR(context_.state.Write(mutations, state::Durability::kSynced));
  AddToCount(1);
  return reply;
}

absl::StatusOr<std::string> SessionRunner::RewindOnce(const v1::RewindSessionRequest& request,
                                                      const RequestLog::Remember& remember) {
  ASSIGN_OR_RETURN(const std::string id, RequireSessionId("session", request.session()));
  ASSIGN_OR_RETURN(v1::Session session, Load(id));
  ASSIGN_OR_RETURN(const Busy busy, Reserve(id));
  RETURN_IF_ERROR(CheckTurns(request.turns(), session.turns()));
  std::vector<state::Mutation> mutations;
  for (int32_t number = request.turns() + 1; number <= session.turns(); ++number) {
    RETURN_IF_ERROR(DropTurn(id, number, mutations));
  }
  const int32_t last = session.turns();
  session.set_turns(request.turns());
  std::string reply = session.SerializeAsString();
  mutations.push_back({keys::Session(id), reply});
  remember(reply, mutations);
  RETURN_IF_ERROR(context_.state.Write(mutations, state::Durability::kSynced));
  RemoveStreams(id, request.turns() + 1, last);
  return reply;
}

void SessionRunner::RemoveStreams(const std::string& id, int32_t first, int32_t last) {
  for (int32_t number = first; number <= last; ++number) {
    const std::string name = MakeTurnName(id, number);
    context_.events.Remove(name, common::ResourceNotFound(name));
  }
}

absl::StatusOr<v1::Session> SessionRunner::Fork(const v1::ForkSessionRequest& request) {
  common::FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  ASSIGN_OR_RETURN(
      const std::string reply,
      context_.requests.Once("ForkSession", request.request_id(), request.SerializeAsString(),
                             [&](const RequestLog::Remember& r) { return ForkOnce(request, r); }));
  v1::Session session;
  if (!session.ParseFromString(reply)) return absl::DataLossError("stored reply is damaged");
  return session;
}

absl::StatusOr<v1::Session> SessionRunner::Rewind(const v1::RewindSessionRequest& request) {
  common::FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  ASSIGN_OR_RETURN(const std::string reply,
                   context_.requests.Once(
                       "RewindSession", request.request_id(), request.SerializeAsString(),
                       [&](const RequestLog::Remember& r) { return RewindOnce(request, r); }));
  v1::Session session;
  if (!session.ParseFromString(reply)) return absl::DataLossError("stored reply is damaged");
  return session;
}

}  // namespace lectern::frontend
