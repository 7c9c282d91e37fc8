// Turns extend each other token for token, survive a death at any write, and can be forked and
// rewound.
#include <gtest/gtest.h>

#include <algorithm>

#include "services/common/error_details.h"
#include "tests/services/frontend/process.h"

namespace lectern::frontend {
namespace {

constexpr char kUuid[] = "123e4567-e89b-12d3-a456-426614174000";

std::string MustCreate(Process& process, const World& world) {
  v1::CreateSessionRequest request;
  request.add_documents(world.document);
  const auto session = process.sessions->Create(request);
  EXPECT_TRUE(session.ok()) << session.status();
  return session.ok() ? session->name() : "";
}

absl::StatusOr<SessionRunner::Conversation> Converse(Process& process, const std::string& session,
                                                     const std::string& message,
                                                     const std::string& request_id = "") {
  v1::ConverseRequest request;
  request.set_session(session);
  request.set_message(message);
  request.set_request_id(request_id);
  return process.sessions->Converse(request, process.clock.Now());
}

Received Say(Process& process, const std::string& session, const std::string& message) {
  const auto conversation = Converse(process, session, message);
  EXPECT_TRUE(conversation.ok()) << conversation.status();
  if (!conversation.ok()) return {};
  return Receive(ReadToEnd(*conversation->events), 0);
}

void ExpectEachPromptExtendsTheLast(const std::vector<Request>& requests,
                                    const std::vector<Received>& answers) {
  for (size_t i = 0; i + 1 < requests.size(); ++i) {
    std::vector<int32_t> prefix = requests[i].prompt;
    prefix.insert(prefix.end(), answers[i].ids.begin(), answers[i].ids.end());
    ASSERT_LT(prefix.size(), requests[i + 1].prompt.size());
    EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), requests[i + 1].prompt.begin())) << i;
  }
}

TEST(Sessions, EveryTurnExtendsTheOneBeforeTokenForToken) {
  World world;
  std::string session;
  std::vector<Received> answers;
  std::vector<Request> requests;
  {
    Process process(world);
    session = MustCreate(process, world);
    for (const char* message : {"one?", "two?", "three?"}) {
      answers.push_back(Say(process, session, message));
    }
    requests = process.worker->submitted();
  }
  Process later(world);  // and over a restart
  answers.push_back(Say(later, session, "four?"));
  for (const Request& request : later.worker->submitted()) requests.push_back(request);
  ASSERT_EQ(requests.size(), 4U);
  ExpectEachPromptExtendsTheLast(requests, answers);
  EXPECT_EQ(answers[3].text, "¶2 Trams ran until 1957. é four?");
  EXPECT_EQ(later.sessions->Get(session)->turns(), 4);
}

TEST(Sessions, ADeathAtAnyWriteLosesAndDoublesNothing) {
  std::string expected = "¶2 Trams ran until 1957. é tell me?";
  for (int writes = 0; writes < 200; ++writes) {
    World world;
    std::string name;
    int64_t seen = 0;
    std::vector<v1::AnswerEvent> events;
    bool ended = false;
    {
      Process process(world, {.run_freely = false});
      const std::string session = MustCreate(process, world);
      auto conversation = Converse(process, session, "tell me?");
      ASSERT_TRUE(conversation.ok());
      name = conversation->turn.name();
      world.state.FailWrites(absl::UnavailableError("dead"), writes);
      EventStream& stream = *conversation->events;
      for (int i = 0; i < 20'000 && !stream.ended(); ++i) {
        process.worker->Step();
        std::this_thread::sleep_for(std::chrono::microseconds(20));
        if (i > 200 && process.worker->running() == 0) break;
      }
      ended = stream.ended();
      for (auto batch = *stream.Read(0, 1000); seen < stream.last_seq();
           batch = *stream.Read(seen, 1000)) {
        for (const EventPtr& event : batch.events) {
          events.push_back(*event);
          seen = event->seq();
        }
      }
    }
    if (ended) {
      EXPECT_GT(writes, 5);  // the loop did reach into the answer
      return;
    }
    world.state.FailWrites(absl::OkStatus());
    Process process(world);
    for (const auto& event : ReadToEnd(**process.events->Open(name), seen)) events.push_back(event);
    const Received received = Receive(events, 0);
    ASSERT_EQ(received.text, expected) << "died at write " << writes;
    ASSERT_EQ(received.answer.raw_text(), expected);
    ASSERT_EQ(received.finished, 1);
  }
  FAIL() << "the turn never ended";
}

TEST(Sessions, OneTurnAtATime) {
  World world;
  Process process(world, {.run_freely = false});
  const std::string session = MustCreate(process, world);
  const auto first = Converse(process, session, "one?");
  ASSERT_TRUE(first.ok());
  const absl::Status refused = Converse(process, session, "two?").status();
  EXPECT_TRUE(absl::IsAborted(refused));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(common::GetErrorInfo(refused, &info));
  EXPECT_EQ(info.reason(), "TURN_RUNNING");
  EXPECT_EQ(process.sessions->Get(session)->turns(), 1);
  process.worker->RunFreely();
  ReadToEnd(*first->events);
}

TEST(Sessions, ARepeatedRequestIdFindsItsTurn) {
  World world;
  Process process(world);
  const std::string session = MustCreate(process, world);
  const auto first = Converse(process, session, "one?", kUuid);
  ASSERT_TRUE(first.ok());
  const auto again = Converse(process, session, "one?", kUuid);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->turn.name(), first->turn.name());
  EXPECT_EQ(Receive(ReadToEnd(*again->events), 0).finished, 1);
  EXPECT_EQ(process.sessions->Get(session)->turns(), 1);
}

TEST(Sessions, TooManyTurnsAreShedWithAHint) {
  World world;
  ProcessOptions options;
  options.sessions.turns_running_max = 1;
  options.run_freely = false;
  Process process(world, std::move(options));
  ASSERT_TRUE(Converse(process, MustCreate(process, world), "one?").ok());
  const absl::Status shed = Converse(process, MustCreate(process, world), "two?").status();
  EXPECT_TRUE(absl::IsResourceExhausted(shed));
  google::rpc::RetryInfo retry;
  EXPECT_TRUE(common::GetRetryInfo(shed, &retry));
  EXPECT_GT(retry.retry_delay().seconds(), 0);
}

TEST(Sessions, CancelKeepsWhatWasSaidAndTheNextTurnGoesOn) {
  World world;
  Process process(world, {.run_freely = false});
  const std::string session = MustCreate(process, world);
  const auto first = Converse(process, session, "one?");
  ASSERT_TRUE(first.ok());
  for (int i = 0; i < 5000 && process.worker->running() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (int i = 0; i < 4; ++i) process.worker->Step();
  v1::CancelTurnRequest cancel;
  cancel.set_turn(first->turn.name());
  const auto turn = process.sessions->CancelTurn(cancel);
  ASSERT_TRUE(turn.ok()) << turn.status();
  EXPECT_EQ(turn->state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(turn->answer().raw_text(), "¶2 T");
  EXPECT_EQ(process.worker->Step(), 0U);
  process.worker->RunFreely();
  const Received second = Say(process, session, "two?");
  EXPECT_EQ(second.finished, 1);
  ExpectEachPromptExtendsTheLast(process.worker->submitted(),
                                 {Receive(ReadToEnd(*first->events), 0), second});
}

TEST(Sessions, ForkSharesThePastAndRewindDropsIt) {
  World world;
  Process process(world);
  const std::string session = MustCreate(process, world);
  for (const char* message : {"one?", "two?", "three?"}) Say(process, session, message);
  v1::ForkSessionRequest fork;
  fork.set_session(session);
  fork.set_turns(2);
  const auto forked = process.sessions->Fork(fork);
  ASSERT_TRUE(forked.ok()) << forked.status();
  EXPECT_EQ(forked->turns(), 2);
  EXPECT_NE(forked->name(), session);
  Say(process, forked->name(), "other three?");
  const auto requests = process.worker->submitted();
  ASSERT_EQ(requests.size(), 4U);
  // Turn 3 of both extends the same two turns.
  const std::string question = "three?";
  const size_t shared = requests[2].prompt.size() - question.size() - 2;
  EXPECT_TRUE(std::equal(requests[2].prompt.begin(),
                         requests[2].prompt.begin() + static_cast<ptrdiff_t>(shared),
                         requests[3].prompt.begin()));
  // The copied turns can be watched.
  v1::WatchTurnRequest watch;
  watch.set_turn(forked->name() + "/turns/1");
  EXPECT_EQ(Receive(ReadToEnd(**process.sessions->Watch(watch)), 0).text,
            "¶2 Trams ran until 1957. é one?");

  v1::RewindSessionRequest rewind;
  rewind.set_session(session);
  rewind.set_turns(1);
  const auto rewound = process.sessions->Rewind(rewind);
  ASSERT_TRUE(rewound.ok()) << rewound.status();
  EXPECT_EQ(rewound->turns(), 1);
  watch.set_turn(session + "/turns/2");
  EXPECT_TRUE(absl::IsNotFound(process.sessions->Watch(watch).status()));
  // The number is free again, and the new turn has events of its own.
  EXPECT_EQ(Say(process, session, "two again?").text, "¶2 Trams ran until 1957. é two again?");
  rewind.set_turns(9);
  EXPECT_TRUE(absl::IsInvalidArgument(process.sessions->Rewind(rewind).status()));
}

TEST(Sessions, ListsTurnsInOrder) {
  World world;
  Process process(world);
  const std::string session = MustCreate(process, world);
  for (int i = 0; i < 5; ++i) Say(process, session, "q" + std::to_string(i));
  v1::ListTurnsRequest request;
  request.set_session(session);
  request.set_page_size(2);
  std::vector<std::string> messages;
  do {
    const auto page = process.sessions->ListTurns(request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& turn : page->turns()) {
      messages.push_back(turn.message());
      EXPECT_EQ(turn.state(), v1::JOB_STATE_SUCCEEDED);
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(messages, (std::vector<std::string>{"q0", "q1", "q2", "q3", "q4"}));
}

TEST(Sessions, DeleteLeavesNothing) {
  World world;
  Process process(world);
  const std::string session = MustCreate(process, world);
  Say(process, session, "one?");
  v1::DeleteSessionRequest request;
  request.set_name(session);
  ASSERT_TRUE(process.sessions->Delete(request).ok());
  EXPECT_EQ(world.state.size(), 0U);
  EXPECT_TRUE(absl::IsNotFound(process.sessions->Get(session).status()));
  EXPECT_EQ(process.sessions->Count(), 0);
}

}  // namespace
}  // namespace lectern::frontend
