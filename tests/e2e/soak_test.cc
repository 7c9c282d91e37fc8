// Eight streaming jobs and four sessions at once, with random cancels: nothing leaks, memory stays
// flat, and every answer that is finished is the one that its question gets alone.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <random>
#include <thread>

#include "services/cli/source_file.h"
#include "tests/e2e/asking.h"
#include "tests/e2e/processes.h"
#include "tests/e2e/tiny_model.h"

namespace lectern::e2e {
namespace {

using std::chrono::steady_clock;

constexpr int kAnswerTokens = 48;
constexpr int kTurns = 3;

struct Asked {
  std::string document;
  std::string question;
  std::vector<int32_t> alone;  // the tokens of its solo run
};

struct Conversation {
  std::string document;
  std::vector<std::string> messages;
  std::vector<std::vector<int32_t>> alone;  // by turn
};

struct Tally {
  std::atomic<int> finished{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> wrong{0};
  std::atomic<int> failed{0};
};

// Tokens of one turn; false in `*finished` where it was cancelled after `cancel_after` events (-1:
// never).
absl::StatusOr<std::vector<int32_t>> TakeTurn(cli::Client& client, const std::string& session,
                                              const std::string& message,
                                              const v1::AnswerOptions& options, int cancel_after,
                                              bool* finished) {
  v1::ConverseRequest request;
  request.set_session(session);
  request.set_message(message);
  *request.mutable_options() = options;
  request.set_request_id(cli::NewRequestId());
  AnswerCollector collector(1);
  std::string turn;
  int seen = 0;
  const absl::Status status = client.Converse(request, [&](const v1::ConverseResponse& response) {
    if (response.has_turn()) turn = response.turn().name();
    if (response.has_event()) collector.OnEvent(response.event());
    if (++seen == cancel_after) {
      v1::CancelTurnRequest cancel;
      cancel.set_turn(turn);
      EXPECT_TRUE(client.CancelTurn(cancel).ok()) << turn;
    }
    return true;
  });
  if (!status.ok()) return status;
  *finished = collector.answers()[0].answer.finish_reason() != v1::FINISH_REASON_CANCELLED;
  return collector.answers()[0].token_ids;
}

absl::StatusOr<std::string> NewSession(cli::Client& client, const std::string& document) {
  v1::CreateSessionRequest create;
  create.add_documents(document);
  const auto session = client.CreateSession(create);
  if (!session.ok()) return session.status();
  return session->name();
}

void RunJobs(const ServerProcess& server, const std::vector<Asked>& asked, uint64_t seed,
             steady_clock::time_point end, Tally& tally) {
  std::mt19937_64 random(seed);
  const std::unique_ptr<cli::Client> client = server.Connect();
  while (steady_clock::now() < end) {
    const Asked& one = asked[random() % asked.size()];
    const auto job =
        client->CreateJob(JobRequest({one.document}, {one.question}, Greedy(kAnswerTokens)));
    if (!job.ok()) {
      ++tally.failed;
      ADD_FAILURE() << job.status();
      return;
    }
    int until_cancel = random() % 3 == 0 ? 1 + static_cast<int>(random() % 12) : -1;
    AnswerCollector collector(1);
    v1::WatchJobRequest watch;
    watch.set_name(job->name());
    const absl::Status status = client->WatchJob(watch, [&](const v1::AnswerEvent& event) {
      collector.OnEvent(event);
      if (--until_cancel == 0) {
        v1::CancelJobRequest cancel;
        cancel.set_name(job->name());
        EXPECT_TRUE(client->CancelJob(cancel).ok());
      }
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(collector.num_gaps(), 0);
    if (collector.job_state() == v1::JOB_STATE_CANCELLED) {
      ++tally.cancelled;
    } else if (collector.job_state() == v1::JOB_STATE_SUCCEEDED) {
      ++tally.finished;
      tally.wrong += collector.answers()[0].token_ids != one.alone;
    } else {
      ++tally.failed;
    }
  }
}

void RunSessions(const ServerProcess& server, const std::vector<Conversation>& conversations,
                 uint64_t seed, steady_clock::time_point end, Tally& tally) {
  std::mt19937_64 random(seed);
  const std::unique_ptr<cli::Client> client = server.Connect();
  while (steady_clock::now() < end) {
    const Conversation& one = conversations[random() % conversations.size()];
    const auto session = NewSession(*client, one.document);
    ASSERT_TRUE(session.ok()) << session.status();
    for (int turn = 0; turn < kTurns && steady_clock::now() < end; ++turn) {
      const int cancel_after = random() % 4 == 0 ? 2 + static_cast<int>(random() % 10) : -1;
      bool finished = false;
      const auto tokens = TakeTurn(*client, *session, one.messages[static_cast<size_t>(turn)],
                                   Greedy(kAnswerTokens), cancel_after, &finished);
      ASSERT_TRUE(tokens.ok()) << tokens.status();
      if (!finished) {
        ++tally.cancelled;
        break;  // what follows a cancelled turn is another conversation
      }
      ++tally.finished;
      tally.wrong += *tokens != one.alone[static_cast<size_t>(turn)];
    }
  }
}

class SoakTest : public testing::Test {
 protected:
  SoakTest() : directory_("soak") {}

  void SetUp() override {
    const auto model = WriteTinyModel(directory_.Path("model"));
    ASSERT_TRUE(model.ok()) << model.status();
    // A small pool, so that pages are evicted and restored all the time.
    auto server = ServerProcess::Start({.data_directory = directory_.Path("data"),
                                        .model = *model,
                                        .flags = {"--quiet", "--kv-cache-mib", "24"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Solo runs, nothing cached.
  void AskAlone(cli::Client& client, std::mt19937_64& random) {
    for (uint64_t i = 0; i < 4; ++i) {
      const auto document = UploadText(client, directory_.Path("document.txt"),
                                       RandomText(150 + 200 * static_cast<int>(i), i));
      ASSERT_TRUE(document.ok()) << document.status();
      for (int q = 0; q < 2; ++q) {
        const std::string question = RandomText(6, random());
        const auto answers = Ask(client, {*document}, {question}, Greedy(kAnswerTokens, true));
        ASSERT_TRUE(answers.ok()) << answers.status();
        asked_.push_back({*document, question, answers->front().token_ids});
      }
      Conversation conversation{.document = *document, .messages = {}, .alone = {}};
      const auto session = NewSession(client, *document);
      ASSERT_TRUE(session.ok());
      for (int turn = 0; turn < kTurns; ++turn) {
        conversation.messages.push_back(RandomText(5, random()));
        bool finished = false;
        const auto tokens = TakeTurn(client, *session, conversation.messages.back(),
                                     Greedy(kAnswerTokens, true), -1, &finished);
        ASSERT_TRUE(tokens.ok()) << tokens.status();
        conversation.alone.push_back(*tokens);
      }
      conversations_.push_back(std::move(conversation));
    }
  }

  TestDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::vector<Asked> asked_;
  std::vector<Conversation> conversations_;
};

TEST_F(SoakTest, NothingLeaksAndAnswersAreTheSoloOnes) {
  const auto seed =
      static_cast<uint64_t>(EnvironmentNumber("LECTERN_E2E_SEED", std::random_device()()));
  const int64_t seconds = EnvironmentNumber("LECTERN_E2E_SOAK_SECONDS", 40);
  std::cout << "LECTERN_E2E_SEED=" << seed << " LECTERN_E2E_SOAK_SECONDS=" << seconds << "\n";
  std::mt19937_64 random(seed);
  const std::unique_ptr<cli::Client> client = server_->Connect();
  ASSERT_NO_FATAL_FAILURE(AskAlone(*client, random));

  Tally tally;
  const auto begin = steady_clock::now();
  const auto end = begin + std::chrono::seconds(seconds);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back(
        [&, thread_seed = random()] { RunJobs(*server_, asked_, thread_seed, end, tally); });
  }
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, thread_seed = random()] {
      RunSessions(*server_, conversations_, thread_seed, end, tally);
    });
  }
  // By half time every pool has been touched.
  std::this_thread::sleep_until(begin + std::chrono::seconds(seconds) / 2);
  const int64_t resident_half = server_->ResidentBytes();
  for (std::thread& thread : threads) thread.join();
  const int64_t resident_end = server_->ResidentBytes();
  std::cout << tally.finished << " answers finished, " << tally.cancelled << " cancelled; resident "
            << resident_half / 1048576 << " MiB at half time, " << resident_end / 1048576
            << " MiB at the end\n";

  EXPECT_EQ(tally.wrong, 0);
  EXPECT_EQ(tally.failed, 0);
  EXPECT_GT(tally.finished, 10);
  EXPECT_GT(tally.cancelled, 2);
  // Memory flat: stored events and answers of this load are a few MiB.
  EXPECT_LT(resident_end, resident_half + resident_half / 8 + (24 << 20));

  ASSERT_TRUE(server_->Running());
  const auto stats = client->GetStats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->pages_leaked(), 0);
  EXPECT_EQ(stats->requests_running(), 0);
  EXPECT_EQ(stats->requests_waiting(), 0);
  EXPECT_EQ(stats->pages_free() + stats->pages_cached(), stats->pages_total());
  const std::string metrics = HttpGet(server_->metrics_address(), "/metrics");
  EXPECT_NE(metrics.find("\nlectern_leaked_pages 0\n"), std::string::npos)
      << metrics.substr(0, 4000);
  EXPECT_EQ(server_->Stop(), 0);
}

}  // namespace
}  // namespace lectern::e2e
