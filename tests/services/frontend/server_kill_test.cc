// kill -9 in mid-stream, again and again: every acknowledged document, job and turn is there
// afterwards, and a watch that goes on with after_seq has lost and doubled nothing.
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "tests/services/frontend/server_fixture.h"

namespace lectern::frontend {
namespace {

constexpr char kDirectoryVariable[] = "LECTERN_KILL_TEST_DIRECTORY";
constexpr char kModelVariable[] = "LECTERN_KILL_TEST_MODEL";

// Runs in the child alone, until it is killed.
TEST(KillChild, DISABLED_Serve) {
  const char* directory = std::getenv(kDirectoryVariable);
  const char* model = std::getenv(kModelVariable);
  ASSERT_TRUE(directory != nullptr && model != nullptr);
  ServerOptions options = TestOptions(directory);
  options.engine.model_directory = model;
  const auto server = MustStart(options);
  ASSERT_NE(server, nullptr);
  server->Wait();
}

// The server as a process of its own.
class Child {
 public:
  explicit Child(const std::string& directory) {
    const std::string model =
        ModelDirectory();  // made by the parent, so that all children share it
    pid_ = fork();
    if (pid_ == 0) {
      setenv(kDirectoryVariable, directory.c_str(), 1);
      setenv(kModelVariable, model.c_str(), 1);
      execl("/proc/self/exe", "server", "--gtest_filter=KillChild.*",
            "--gtest_also_run_disabled_tests", nullptr);
      _exit(127);
    }
    for (int i = 0; i < 6000; ++i) {
      const auto found = FindServer(directory);
      if (found.ok()) {
        address_ = *found;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "the server did not start";
  }
  ~Child() { Kill(); }

  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  Client Connect() const {
    return Client(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }

 private:
  pid_t pid_ = 0;
  std::string address_;
};

int NumKills() {
  const char* kills = std::getenv("LECTERN_KILLS");
  return kills == nullptr ? 5 : std::atoi(kills);
}

TEST(ServerKill, NothingAcknowledgedIsLost) {
  constexpr uint64_t kSeed = 20261122;
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  const std::string directory = FreshDirectory("server_kill");
  const std::vector<std::string> questions = {"one?", "two?", "three?"};
  constexpr int kNewTokens = 1500;

  std::string document;
  std::vector<Heard> expected;
  std::string job;
  std::vector<v1::AnswerEvent> events;
  {
    Child child(directory);
    Client client = child.Connect();
    document = client.Upload("kill.txt", SampleText(20)).name();
    const auto undisturbed = client.Watch(client.CreateJob(document, questions, kNewTokens).name());
    for (int q = 0; q < 3; ++q) expected.push_back(Listen(undisturbed, q));
    job = client.CreateJob(document, questions, kNewTokens).name();
    child.Kill();
  }
  for (int i = 0; i < NumKills(); ++i) {
    Child child(directory);
    Client client = child.Connect();
    const int64_t seen = events.empty() ? 0 : events.back().seq();
    const auto more = client.Watch(job, seen, 1 + random() % 40);
    events.insert(events.end(), more.begin(), more.end());
    child.Kill();
  }
  Child child(directory);
  Client client = child.Connect();
  const auto rest = client.Watch(job, events.empty() ? 0 : events.back().seq());
  events.insert(events.end(), rest.begin(), rest.end());
  for (size_t i = 0; i < events.size(); ++i)
    ASSERT_EQ(events[i].seq(), static_cast<int64_t>(i) + 1);
  ASSERT_EQ(events.back().job_state(), v1::JOB_STATE_SUCCEEDED);
  for (int q = 0; q < 3; ++q) {
    const Heard heard = Listen(events, q);
    EXPECT_EQ(heard.ids, expected[static_cast<size_t>(q)].ids) << q;
    EXPECT_EQ(heard.text, expected[static_cast<size_t>(q)].text) << q;
    EXPECT_EQ(heard.finished, 1) << q;
    EXPECT_EQ(heard.answer.raw_text(), heard.text) << q;
  }
  const v1::Stats stats = client.Stats();
  EXPECT_EQ(stats.documents(), 1);
  EXPECT_EQ(stats.jobs(), 2);
  EXPECT_EQ(stats.pages_leaked(), 0);
  child.Kill();
  std::filesystem::remove_all(directory);
}

// A turn that was acknowledged goes on by itself.
TEST(ServerKill, AnAcknowledgedTurnGoesOn) {
  const std::string directory = FreshDirectory("turn_kill");
  std::string turn;
  std::vector<v1::AnswerEvent> events;
  {
    Child child(directory);
    Client client = child.Connect();
    v1::CreateSessionRequest create;
    create.add_documents(client.Upload("turn.txt", SampleText(20)).name());
    v1::Session session;
    grpc::ClientContext create_context;
    ASSERT_TRUE(client.sessions->CreateSession(&create_context, create, &session).ok());
    v1::ConverseRequest request;
    request.set_session(session.name());
    request.set_message("long?");
    request.mutable_options()->mutable_sampling()->set_max_new_tokens(2000);
    grpc::ClientContext context;
    const auto reader = client.sessions->Converse(&context, request);
    v1::ConverseResponse response;
    for (int i = 0; i < 10 && reader->Read(&response); ++i) {
      if (response.has_turn()) turn = response.turn().name();
      if (response.has_event()) events.push_back(response.event());
    }
    child.Kill();
    while (reader->Read(&response)) events.push_back(response.event());
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  Child child(directory);
  Client client = child.Connect();
  v1::WatchTurnRequest watch;
  watch.set_turn(turn);
  watch.set_after_seq(events.back().seq());
  grpc::ClientContext context;
  const auto reader = client.sessions->WatchTurn(&context, watch);
  v1::AnswerEvent event;
  while (reader->Read(&event)) events.push_back(event);
  EXPECT_TRUE(reader->Finish().ok());
  const Heard heard = Listen(events, 0);
  EXPECT_EQ(heard.ids.size(), 2000U);
  EXPECT_EQ(heard.text, heard.answer.raw_text());
  EXPECT_EQ(heard.answer.finish_reason(), v1::FINISH_REASON_LENGTH);
  child.Kill();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace lectern::frontend
