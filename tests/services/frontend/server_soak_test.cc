// Streams, cancels and sessions at once for a while: nothing leaks, and every answer is the one of
// its solo run, or the beginning of it where it was cancelled.
#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/services/frontend/server_fixture.h"

namespace lectern::frontend {
namespace {

constexpr int kJobThreads = 8;
constexpr int kSessionThreads = 4;
constexpr int kNewTokens = 60;

double SoakSeconds() {
  const char* seconds = std::getenv("LECTERN_SOAK_SECONDS");
  return seconds == nullptr ? 5 : std::atof(seconds);
}

bool IsPrefix(const std::vector<int32_t>& part, const std::vector<int32_t>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

class Soak {
 public:
  explicit Soak(const Server& server) : server_(server), client_(Connect(server)) {
    for (int i = 0; i < 3; ++i) {
      documents_.push_back(
          client_.Upload("soak" + std::to_string(i), SampleText(10 + 15 * i)).name());
      for (const std::string& question : questions_) {
        solo_.push_back(
            Listen(
                client_.Watch(client_.CreateJob(documents_.back(), {question}, kNewTokens).name()),
                0)
                .ids);
      }
    }
    conversation_ = Converse(client_, documents_[1], [] { return false; });
    EXPECT_EQ(conversation_.size(), questions_.size());
  }

  void Run() {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(SoakSeconds());
    std::vector<std::thread> threads;
    for (int i = 0; i < kJobThreads + kSessionThreads; ++i) {
      threads.emplace_back([this, i, end] {
        Client client = Connect(server_);
        std::mt19937_64 random(static_cast<uint64_t>(i));
        while (std::chrono::steady_clock::now() < end && !::testing::Test::HasFailure()) {
          if (i < kJobThreads) {
            OneJob(client, random);
          } else {
            OneSession(client, random);
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(finished_, kJobThreads);
    EXPECT_GT(cancelled_, 0);
    RecordProperty("finished", finished_);
    const v1::Stats stats = client_.WaitUntilIdle();
    EXPECT_EQ(stats.pages_leaked(), 0);
    EXPECT_EQ(stats.pages_free() + stats.pages_cached(), stats.pages_total());
    std::printf("soak: %d answers finished, %d cancelled, %d turns\n", finished_.load(),
                cancelled_.load(), turns_.load());
  }

 private:
  static void RecordProperty(const char* name, int value) {
    ::testing::Test::RecordProperty(name, value);
  }

  void OneJob(Client& client, std::mt19937_64& random) {
    const size_t d = random() % documents_.size();
    const size_t q = random() % questions_.size();
    const std::string job = client.CreateJob(documents_[d], {questions_[q]}, kNewTokens).name();
    const bool cancel = random() % 3 == 0;
    if (cancel) {
      client.Watch(job, 0, 1 + random() % 20);
      v1::CancelJobRequest request;
      request.set_name(job);
      v1::Job reply;
      grpc::ClientContext context;
      EXPECT_TRUE(client.jobs->CancelJob(&context, request, &reply).ok());
    }
    const Heard heard = Listen(client.Watch(job), 0);
    const auto& expected = solo_[d * questions_.size() + q];
    if (heard.answer.finish_reason() == v1::FINISH_REASON_CANCELLED) {
      ++cancelled_;
      EXPECT_TRUE(IsPrefix(heard.ids, expected));
    } else {
      ++finished_;
      EXPECT_EQ(heard.ids, expected);
    }
  }

  // The tokens of each turn until all questions are asked or `stop` says so.
  std::vector<std::vector<int32_t>> Converse(Client& client, const std::string& document,
                                             const std::function<bool()>& stop) {
    v1::CreateSessionRequest create;
    create.add_documents(document);
    v1::Session session;
    grpc::ClientContext create_context;
    EXPECT_TRUE(client.sessions->CreateSession(&create_context, create, &session).ok());
    std::vector<std::vector<int32_t>> turns;
    for (const std::string& question : questions_) {
      if (stop()) break;
      v1::ConverseRequest request;
      request.set_session(session.name());
      request.set_message(question);
      request.mutable_options()->mutable_sampling()->set_max_new_tokens(kNewTokens);
      grpc::ClientContext context;
      const auto reader = client.sessions->Converse(&context, request);
      v1::ConverseResponse response;
      std::vector<v1::AnswerEvent> events;
      while (reader->Read(&response)) {
        if (response.has_event()) events.push_back(response.event());
      }
      const grpc::Status status = reader->Finish();
      EXPECT_TRUE(status.ok()) << status.error_message();
      turns.push_back(Listen(events, 0).ids);
      ++turns_;
    }
    return turns;
  }

  void OneSession(Client& client, std::mt19937_64& random) {
    const auto turns = Converse(client, documents_[1], [&] { return random() % 4 == 0; });
    for (size_t i = 0; i < turns.size(); ++i) EXPECT_EQ(turns[i], conversation_[i]) << i;
  }

  const Server& server_;
  Client client_;
  const std::vector<std::string> questions_ = {"What was the toll?", "In which year?", "Why?",
                                               "Who?"};
  std::vector<std::string> documents_;
  std::vector<std::vector<int32_t>> solo_;          // [document, question]
  std::vector<std::vector<int32_t>> conversation_;  // [turn]
  std::atomic<int> finished_{0};
  std::atomic<int> cancelled_{0};
  std::atomic<int> turns_{0};
};

TEST(ServerSoak, AnswersAreThoseOfTheirSoloRunsAndNothingLeaks) {
  const std::string directory = FreshDirectory("server_soak");
  {
    const auto server = MustStart(TestOptions(directory));
    ASSERT_NE(server, nullptr);
    Soak(*server).Run();
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace lectern::frontend
