// `lectern chat`: a session of turns about documents, typed or piped.

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/cli/answer_printer.h"
#include "services/cli/answer_view.h"
#include "services/cli/client.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/interrupt.h"
#include "services/cli/source_file.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

struct Chat {
  Client& client;
  const GivenDocuments& documents;
  std::string session;
  v1::AnswerOptions options;
  bool json = false;
};

// What is known of a turn while it streams: shared with the interrupt's thread.
struct RunningTurn {
  std::mutex mutex;
  std::string name;
  int64_t last_seq = 0;
  bool ended = false;
};

// After a lost connection the turn goes on where it stood: it was durable before its first event.
absl::Status FollowTurn(Client& client, RunningTurn& running,
                        const std::function<bool(const v1::AnswerEvent&)>& on_event,
                        absl::Status status) {
  constexpr int kAttempts = 150;  // times 200 ms
  for (int attempt = 0; attempt < kAttempts && absl::IsUnavailable(status) && !client.embedded() &&
                        !running.name.empty() && !running.ended;
       ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    if (!client.Reconnect().ok()) continue;
    v1::WatchTurnRequest watch;
    watch.set_turn(running.name);
    watch.set_after_seq(running.last_seq);
    status = client.WatchTurn(watch, on_event);
  }
  return status;
}

// Sends one message and prints its answer. False: the turn failed or was cancelled.
absl::StatusOr<bool> TakeTurn(Chat& chat, const std::string& message) {
  v1::ConverseRequest request;
  request.set_session(chat.session);
  request.set_message(message);
  *request.mutable_options() = chat.options;
  request.set_request_id(NewRequestId());
  AnswerPrinter printer(chat.json ? AnswerFormat::kJson : AnswerFormat::kText,
                        {{.id = "1", .text = message}}, chat.documents);
  RunningTurn running;
  const auto on_event = [&](const v1::AnswerEvent& event) {
    const std::lock_guard lock(running.mutex);
    running.last_seq = event.seq();
    if (event.event_case() == v1::AnswerEvent::kFinished) running.ended = true;
    printer.OnEvent(event);
    return true;
  };
  const InterruptScope interrupt([&] {
    v1::CancelTurnRequest cancel;
    {
      const std::lock_guard lock(running.mutex);
      cancel.set_turn(running.name);
    }
    if (cancel.turn().empty() || !chat.client.CancelTurn(cancel).ok()) chat.client.CancelCalls();
  });
  absl::Status status = chat.client.Converse(request, [&](const v1::ConverseResponse& response) {
    if (response.has_event()) return on_event(response.event());
    const std::lock_guard lock(running.mutex);
    running.name = response.turn().name();
    return true;
  });
  status = FollowTurn(chat.client, running, on_event, std::move(status));
  if (!status.ok()) {
    printer.FailRest(status);
    return InterruptScope::interrupted() ? absl::StatusOr<bool>(false) : status;
  }
  return printer.failed() == 0;
}

absl::StatusOr<Chat> OpenSession(const Args& args, Client& client,
                                 const GivenDocuments& documents) {
  Chat chat{.client = client,
            .documents = documents,
            .session = args.Text("session"),
            .options = AnswerOptionsFrom(args),
            .json = args.json()};
  if (!chat.session.empty()) {
    v1::GetSessionRequest get;
    get.set_name(chat.session);
    RETURN_IF_ERROR(client.GetSession(get).status());
    return chat;
  }
  v1::CreateSessionRequest request;
  for (const std::string& name : documents.names) request.add_documents(name);
  request.set_request_id(NewRequestId());
  ASSIGN_OR_RETURN(const v1::Session session, client.CreateSession(request));
  chat.session = session.name();
  return chat;
}

int Converse(Chat& chat) {
  const bool typed = isatty(STDIN_FILENO) == 1;
  if (!chat.json) {
    std::fprintf(stderr, "%s%s\n", chat.session.c_str(), typed ? "; /exit or Ctrl-D ends" : "");
  }
  int code = kExitOk;
  for (;;) {
    if (typed) std::fputs("> ", stderr);
    std::string line;
    if (!std::getline(std::cin, line)) break;
    const std::string message(absl::StripAsciiWhitespace(line));
    if (message.empty()) continue;
    if (message == "/exit" || message == "/quit") break;
    const absl::StatusOr<bool> answered = TakeTurn(chat, message);
    if (!answered.ok()) return Fail(answered.status());
    if (!*answered) code = kExitFailed;
    if (!*answered && !typed && InterruptScope::interrupted()) return kExitInterrupted;
  }
  if (typed) std::fputs("\n", stderr);
  return code;
}

int RunChat(const Args& args) {
  if (args.positionals().empty() && !args.Has("session")) {
    Fail(absl::InvalidArgumentError("expected FILE..., or --session sessions/ID"));
    return kExitUsage;
  }
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<GivenDocuments> documents =
      ResolveDocuments(**client, args.positionals(), UploadOptions());
  if (!documents.ok()) return Fail(documents.status());
  absl::StatusOr<Chat> chat = OpenSession(args, **client, *documents);
  if (!chat.ok()) return Fail(chat.status());
  return Converse(*chat);
}

}  // namespace

Command ChatCommand() {
  return {.spec = {.name = "chat",
                   .summary = "converse about documents, turn by turn",
                   .positionals = "FILE|documents/ID...",
                   .positionals_min = 0,
                   .positionals_max = -1,
                   .flags = Join({{Text("session", "sessions/ID", "go on with an earlier session")},
                                  AnswerFlags(),
                                  ClientFlags(),
                                  EngineFlags()}),
                   .details = "Reads one message a line from the terminal or a pipe; only what is "
                              "new is computed. The\n"
                              "session is durable: its name is printed first. Ctrl-C stops the "
                              "answer, /exit the chat.",
                   .example = "lectern chat manual.pdf\n  printf 'Who opens the valve?\\n' | "
                              "lectern chat manual.pdf --json"},
          .run = RunChat};
}

}  // namespace lectern::cli
