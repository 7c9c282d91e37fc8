// lectern.v1.Sessions over gRPC's callback API.
#include "lectern/v1/services.grpc.pb.h"
#include "services/frontend/event_source.h"
#include "services/frontend/rpc_calls.h"
#include "services/frontend/rpc_services.h"

namespace lectern::frontend {
namespace {

using Context = grpc::CallbackServerContext;
using Unary = grpc::ServerUnaryReactor;

class SessionsService final : public v1::Sessions::CallbackService {
 public:
  SessionsService(RpcContext& rpc, SessionRunner& sessions) : rpc_(rpc), sessions_(sessions) {}

  Unary* CreateSession(Context* context, const v1::CreateSessionRequest* request,
                       v1::Session* reply) override {
    return Answer<v1::Session>(rpc_, context, "CreateSession", reply,
                               [this, request] { return sessions_.Create(*request); });
  }
  Unary* GetSession(Context* context, const v1::GetSessionRequest* request,
                    v1::Session* reply) override {
    return Answer<v1::Session>(rpc_, context, "GetSession", reply,
                               [this, request] { return sessions_.Get(request->name()); });
  }
  Unary* ListSessions(Context* context, const v1::ListSessionsRequest* request,
                      v1::ListSessionsResponse* reply) override {
    return Answer<v1::ListSessionsResponse>(rpc_, context, "ListSessions", reply,
                                            [this, request] { return sessions_.List(*request); });
  }
  Unary* DeleteSession(Context* context, const v1::DeleteSessionRequest* request,
                       google::protobuf::Empty*) override {
    return RunUnary(rpc_, context, "DeleteSession",
                    [this, request] { return sessions_.Delete(*request); });
  }
  Unary* ListTurns(Context* context, const v1::ListTurnsRequest* request,
                   v1::ListTurnsResponse* reply) override {
    return Answer<v1::ListTurnsResponse>(rpc_, context, "ListTurns", reply,
                                         [this, request] { return sessions_.ListTurns(*request); });
  }
  Unary* CancelTurn(Context* context, const v1::CancelTurnRequest* request,
                    v1::Turn* reply) override {
    return Answer<v1::Turn>(rpc_, context, "CancelTurn", reply,
                            [this, request] { return sessions_.CancelTurn(*request); });
  }
  Unary* ForkSession(Context* context, const v1::ForkSessionRequest* request,
                     v1::Session* reply) override {
    return Answer<v1::Session>(rpc_, context, "ForkSession", reply,
                               [this, request] { return sessions_.Fork(*request); });
  }
  Unary* RewindSession(Context* context, const v1::RewindSessionRequest* request,
                       v1::Session* reply) override {
    return Answer<v1::Session>(rpc_, context, "RewindSession", reply,
                               [this, request] { return sessions_.Rewind(*request); });
  }

  grpc::ServerWriteReactor<v1::AnswerEvent>* WatchTurn(
      Context* context, const v1::WatchTurnRequest* request) override {
    using Source = EventSource<v1::AnswerEvent>;
    const auto open = [this, request = *request]() -> absl::StatusOr<Source::Opened> {
      auto stream = sessions_.Watch(request);
      if (!stream.ok()) return stream.status();
      return Source::Opened{*std::move(stream), request.after_seq(), std::nullopt};
    };
    const auto fill = [](const v1::AnswerEvent& event, v1::AnswerEvent& message) {
      message = event;
    };
    return SourceReactor<v1::AnswerEvent>::Start(
        rpc_, context, "WatchTurn", std::make_unique<Source>(rpc_, Source::Hooks{open, fill, {}}));
  }

  // A client that goes away leaves the turn running, to be found through WatchTurn; a deadline that
  // passes ends it: the client said that it will not want the answer then.
  grpc::ServerWriteReactor<v1::ConverseResponse>* Converse(
      Context* context, const v1::ConverseRequest* request) override {
    using Source = EventSource<v1::ConverseResponse>;
    const auto turn = std::make_shared<TurnOfCall>();
    const auto open = [this, turn, request = *request,
                       accepted = rpc_.clock.Now()]() -> absl::StatusOr<Source::Opened> {
      auto conversation = sessions_.Converse(request, accepted);
      if (!conversation.ok()) return conversation.status();
      bool late = false;
      {
        const std::lock_guard lock(turn->mutex);
        turn->name = conversation->turn.name();
        late = turn->deadline_passed;
      }
      if (late) CancelTurn(turn->name);
      v1::ConverseResponse first;
      *first.mutable_turn() = std::move(conversation->turn);
      return Source::Opened{std::move(conversation->events), 0, std::move(first)};
    };
    const auto fill = [](const v1::AnswerEvent& event, v1::ConverseResponse& message) {
      *message.mutable_event() = event;
    };
    const auto gone = [this, turn](bool deadline_passed) {
      if (!deadline_passed) return;
      std::string name;
      {
        const std::lock_guard lock(turn->mutex);
        turn->deadline_passed = true;
        name = turn->name;
      }
      if (!name.empty()) rpc_.pool.Post([this, name] { CancelTurn(name); });
    };
    return SourceReactor<v1::ConverseResponse>::Start(
        rpc_, context, "Converse", std::make_unique<Source>(rpc_, Source::Hooks{open, fill, gone}));
  }

 private:
  // Joins the opening of a turn with a deadline that passes meanwhile.
  struct TurnOfCall {
    std::mutex mutex;
    std::string name;
    bool deadline_passed = false;
  };

  void CancelTurn(const std::string& name) {
    v1::CancelTurnRequest request;
    request.set_turn(name);
    // A turn that has ended meanwhile stays as it is.
    static_cast<void>(sessions_.CancelTurn(request).ok());
  }

  RpcContext& rpc_;
  SessionRunner& sessions_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeSessionsService(RpcContext& rpc, SessionRunner& sessions) {
  return std::make_unique<SessionsService>(rpc, sessions);
}

}  // namespace lectern::frontend
