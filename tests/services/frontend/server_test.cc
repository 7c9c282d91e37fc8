// Every service over gRPC on loopback, on a real engine: resources, streams, cancellation,
// restarts.
#include "services/frontend/server.h"

#include <thread>

#include "tests/services/frontend/server_fixture.h"

namespace lectern::frontend {
namespace {

class ServerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new std::string(FreshDirectory("server_test"));
    server_ = MustStart(TestOptions(*directory_)).release();
    ASSERT_NE(server_, nullptr);
  }
  static void TearDownTestSuite() {
    delete server_;
    std::filesystem::remove_all(*directory_);
    delete directory_;
  }
  Client client_ = Connect(*server_);
  static std::string* directory_;
  static Server* server_;
};
std::string* ServerTest::directory_ = nullptr;
Server* ServerTest::server_ = nullptr;

TEST_F(ServerTest, DocumentsFromUploadToDeletion) {
  const std::string text = SampleText(30);
  const v1::Document document = client_.Upload("report.txt", text);
  EXPECT_EQ(document.display_name(), "report.txt");
  EXPECT_EQ(document.paragraphs(), 30);
  EXPECT_GT(document.tokens(), 1000);

  v1::GetDocumentRequest get;
  get.set_name(document.name());
  v1::Document found;
  grpc::ClientContext context;
  ASSERT_TRUE(client_.documents->GetDocument(&context, get, &found).ok());
  EXPECT_EQ(found.tokens(), document.tokens());

  v1::GetDocumentTextRequest part;
  part.set_name(document.name());
  part.set_byte_begin(8);
  part.set_byte_end(20);
  grpc::ClientContext text_context;
  const auto reader = client_.documents->GetDocumentText(&text_context, part);
  v1::DocumentText piece;
  ASSERT_TRUE(reader->Read(&piece));
  EXPECT_EQ(piece.text(), text.substr(8, 12));
  EXPECT_FALSE(reader->Read(&piece));
  EXPECT_TRUE(reader->Finish().ok());

  v1::DeleteDocumentRequest remove;
  remove.set_name(document.name());
  google::protobuf::Empty empty;
  grpc::ClientContext delete_context;
  EXPECT_TRUE(client_.documents->DeleteDocument(&delete_context, remove, &empty).ok());
  grpc::ClientContext again;
  EXPECT_EQ(client_.documents->GetDocument(&again, get, &found).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, ABrokenUploadGoesOnWhereItWasCommitted) {
  const std::string text = SampleText(20) + "resumed";
  const std::string upload = client_.StartUpload("resumed.txt");
  v1::Document document;
  const grpc::Status broken =
      client_.Send({Client::Chunk(upload, 0, text.substr(0, 100))}, &document);
  EXPECT_EQ(broken.error_code(), grpc::StatusCode::INVALID_ARGUMENT);  // no finish
  v1::QueryUploadRequest query;
  query.set_upload_id(upload);
  v1::QueryUploadResponse state;
  grpc::ClientContext context;
  ASSERT_TRUE(client_.documents->QueryUpload(&context, query, &state).ok());
  EXPECT_EQ(state.committed_size(), 100);
  v1::UploadRequest damaged = Client::Chunk(upload, 100, text.substr(100));
  damaged.mutable_chunk()->set_crc32c(1);
  EXPECT_EQ(client_.Send({damaged}, &document).error_code(), grpc::StatusCode::DATA_LOSS);
  const grpc::Status done = client_.Send(
      {Client::Chunk(upload, 100, text.substr(100)), Client::Finish(upload, text)}, &document);
  ASSERT_TRUE(done.ok()) << done.error_message();
  EXPECT_EQ(document.source_bytes(), static_cast<int64_t>(text.size()));
}

TEST_F(ServerTest, AJobStreamsItsAnswersAndTheSecondQuestionIsWarm) {
  const v1::Document document = client_.Upload("tolls.txt", SampleText(40));
  const v1::Job job = client_.CreateJob(document.name(), {"What was the toll?", "And the year?"});
  const auto events = client_.Watch(job.name());
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().job_state(), v1::JOB_STATE_SUCCEEDED);
  const Heard first = Listen(events, 0);
  const Heard second = Listen(events, 1);
  EXPECT_EQ(first.finished, 1);
  EXPECT_EQ(first.text, first.answer.raw_text());
  EXPECT_EQ(first.answer.usage().generated_tokens(), static_cast<int64_t>(first.ids.size()));
  EXPECT_GT(first.answer.usage().ttft_seconds(), 0);
  EXPECT_FALSE(first.answer.evidence().empty());
  EXPECT_EQ(first.answer.usage().cached_tokens_device(), 0);
  // Whole pages of the document, 64 tokens each.
  EXPECT_GT(second.answer.usage().cached_tokens_device(), document.tokens() * 9 / 10);
  // Hit equals miss.
  v1::CreateJobRequest cold;
  cold.add_documents(document.name());
  cold.add_questions()->set_text("And the year?");
  cold.mutable_options()->set_no_cache(true);
  cold.mutable_options()->mutable_sampling()->set_max_new_tokens(24);
  v1::Job cold_job;
  grpc::ClientContext context;
  ASSERT_TRUE(client_.jobs->CreateJob(&context, cold, &cold_job).ok());
  const Heard computed = Listen(client_.Watch(cold_job.name()), 0);
  EXPECT_EQ(computed.ids, second.ids);
  EXPECT_EQ(computed.answer.usage().cached_tokens_device(), 0);

  v1::GetJobRequest get;
  get.set_name(job.name());
  v1::Job stored;
  grpc::ClientContext get_context;
  ASSERT_TRUE(client_.jobs->GetJob(&get_context, get, &stored).ok());
  EXPECT_EQ(stored.answers_size(), 2);
  EXPECT_EQ(stored.last_seq(), events.back().seq());
}

TEST_F(ServerTest, AWatchGoesOnFromAnyEvent) {
  const v1::Document document = client_.Upload("watch.txt", SampleText(12));
  const v1::Job job = client_.CreateJob(document.name(), {"one?"});
  const auto all = client_.Watch(job.name());
  for (size_t seen = 0; seen <= all.size(); ++seen) {
    const auto rest = client_.Watch(job.name(), static_cast<int64_t>(seen));
    ASSERT_EQ(rest.size(), all.size() - seen);
    for (size_t i = 0; i < rest.size(); ++i) {
      EXPECT_EQ(rest[i].SerializeAsString(), all[seen + i].SerializeAsString());
    }
  }
}

TEST_F(ServerTest, CancelFreesEverything) {
  const v1::Document document = client_.Upload("cancel.txt", SampleText(12));
  const v1::Job job = client_.CreateJob(document.name(), {"long?", "longer?"}, 20'000);
  client_.Watch(job.name(), 0, 6);  // it runs
  v1::CancelJobRequest cancel;
  cancel.set_name(job.name());
  v1::Job cancelled;
  grpc::ClientContext context;
  ASSERT_TRUE(client_.jobs->CancelJob(&context, cancel, &cancelled).ok());
  EXPECT_EQ(cancelled.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(client_.Watch(job.name()).back().job_state(), v1::JOB_STATE_CANCELLED);
  const v1::Stats stats = client_.WaitUntilIdle();
  EXPECT_EQ(stats.requests_running(), 0);
  EXPECT_EQ(stats.pages_leaked(), 0);
  EXPECT_EQ(stats.pages_free() + stats.pages_cached(), stats.pages_total());
}

TEST_F(ServerTest, ASlowReaderHoldsNobodyUp) {
  const v1::Document document = client_.Upload("slow.txt", SampleText(12));
  const v1::Job job = client_.CreateJob(document.name(), {"one?", "two?", "three?"}, 400);
  v1::WatchJobRequest request;
  request.set_name(job.name());
  grpc::ClientContext slow_context;
  const auto slow = client_.jobs->WatchJob(&slow_context, request);  // and does not read
  const auto events = client_.Watch(job.name());
  EXPECT_EQ(events.back().job_state(), v1::JOB_STATE_SUCCEEDED);
  v1::AnswerEvent event;
  size_t count = 0;
  while (slow->Read(&event))
    EXPECT_EQ(event.SerializeAsString(), events[count++].SerializeAsString());
  EXPECT_EQ(count, events.size());
  EXPECT_TRUE(slow->Finish().ok());
}

class Talk {
 public:
  Talk(Client& client, const std::string& document) : client_(client) {
    v1::CreateSessionRequest request;
    request.add_documents(document);
    grpc::ClientContext context;
    EXPECT_TRUE(client_.sessions->CreateSession(&context, request, &session).ok());
  }

  // Reads at most `limit` messages.
  grpc::Status Say(const std::string& message, int max_new_tokens, grpc::ClientContext& context,
                   size_t limit = SIZE_MAX) {
    v1::ConverseRequest request;
    request.set_session(session.name());
    request.set_message(message);
    request.mutable_options()->mutable_sampling()->set_max_new_tokens(max_new_tokens);
    const auto reader = client_.sessions->Converse(&context, request);
    v1::ConverseResponse response;
    events.clear();
    for (size_t i = 0; i < limit && reader->Read(&response); ++i) {
      if (response.has_turn()) turn = response.turn();
      if (response.has_event()) events.push_back(response.event());
    }
    if (limit != SIZE_MAX) context.TryCancel();
    return reader->Finish();
  }

  std::vector<v1::AnswerEvent> Watch() {
    v1::WatchTurnRequest request;
    request.set_turn(turn.name());
    grpc::ClientContext context;
    const auto reader = client_.sessions->WatchTurn(&context, request);
    std::vector<v1::AnswerEvent> seen;
    v1::AnswerEvent event;
    while (reader->Read(&event)) seen.push_back(event);
    EXPECT_TRUE(reader->Finish().ok());
    return seen;
  }

  v1::Session session;
  v1::Turn turn;
  std::vector<v1::AnswerEvent> events;

 private:
  Client& client_;
};

TEST_F(ServerTest, ASecondTurnComputesOnlyWhatIsNew) {
  Talk talk(client_, client_.Upload("talk.txt", SampleText(40)).name());
  grpc::ClientContext first_context;
  ASSERT_TRUE(talk.Say("first?", 40, first_context).ok());
  const v1::Usage first = Listen(talk.events, 0).answer.usage();
  grpc::ClientContext second_context;
  ASSERT_TRUE(talk.Say("second?", 40, second_context).ok());
  const v1::Usage second = Listen(talk.events, 0).answer.usage();
  EXPECT_EQ(talk.turn.name(), talk.session.name() + "/turns/2");
  // All but the last, unfinished page of the first turn's prompt and answer.
  EXPECT_GE(second.cached_tokens_device(), first.prompt_tokens() - 64);
}

TEST_F(ServerTest, AClientThatGoesAwayFindsItsTurn) {
  Talk talk(client_, client_.Upload("away.txt", SampleText(12)).name());
  grpc::ClientContext context;
  talk.Say("gone?", 60, context, /*limit=*/4);
  const Heard heard = Listen(talk.Watch(), 0);
  EXPECT_EQ(heard.finished, 1);
  EXPECT_NE(heard.answer.finish_reason(), v1::FINISH_REASON_CANCELLED);
}

TEST_F(ServerTest, ADeadlineThatPassesEndsTheTurn) {
  Talk talk(client_, client_.Upload("deadline.txt", SampleText(12)).name());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(1500));
  const grpc::Status status = talk.Say("long?", 40'000, context);
  ASSERT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  EXPECT_EQ(Listen(talk.Watch(), 0).answer.finish_reason(), v1::FINISH_REASON_CANCELLED);
  EXPECT_EQ(client_.WaitUntilIdle().requests_running(), 0);
}

TEST_F(ServerTest, WarmingMakesTheFirstQuestionAHit) {
  const v1::Document document = client_.Upload("warm.txt", SampleText(50));
  v1::WarmDocumentRequest request;
  request.add_documents(document.name());
  grpc::ClientContext context;
  const auto reader = client_.documents->WarmDocument(&context, request);
  std::vector<v1::WarmProgress> progress;
  v1::WarmProgress message;
  while (reader->Read(&message)) progress.push_back(message);
  ASSERT_TRUE(reader->Finish().ok());
  ASSERT_GE(progress.size(), 2U);
  EXPECT_EQ(progress.back().prompt_tokens_done(), progress.back().prompt_tokens_total());
  const v1::Job job = client_.CreateJob(document.name(), {"Is it warm?"});
  EXPECT_GT(Listen(client_.Watch(job.name()), 0).answer.usage().cached_tokens_device(),
            document.tokens() * 9 / 10);
}

TEST_F(ServerTest, AdminCallsReachTheCaches) {
  const v1::Stats stats = client_.Stats();
  EXPECT_EQ(stats.pattern(), "FSFS");
  EXPECT_GT(stats.max_context(), 0);
  EXPECT_GT(stats.resident_bytes(), 1 << 20);
  EXPECT_EQ(stats.pages_leaked(), 0);
  v1::CacheStatsResponse cache;
  grpc::ClientContext cache_context;
  ASSERT_TRUE(client_.admin->CacheStats(&cache_context, {}, &cache).ok());
  ASSERT_EQ(cache.tiers_size(), 2);
  EXPECT_EQ(cache.page_tokens(), 64);
  v1::VerifyCacheResponse verified;
  grpc::ClientContext verify_context;
  ASSERT_TRUE(client_.admin->VerifyCache(&verify_context, {}, &verified).ok());
  EXPECT_EQ(verified.pages_bad(), 0);
  v1::EvictCacheRequest evict;
  evict.set_memory(true);
  evict.set_disk(true);
  v1::EvictCacheResponse evicted;
  grpc::ClientContext evict_context;
  ASSERT_TRUE(client_.admin->EvictCache(&evict_context, evict, &evicted).ok());
  EXPECT_EQ(client_.Stats().disk_pages(), 0);
}

// The server dies politely in mid-answer; the next one on the same directory goes on.
TEST(ServerRestart, AWatchGoesOnAcrossARestartAndTheDocumentIsWarm) {
  const std::string directory = FreshDirectory("server_restart");
  const std::vector<std::string> questions = {"one?", "two?"};
  std::string document;
  Heard expected[2];
  std::string job;
  std::vector<v1::AnswerEvent> events;
  {
    const auto server = MustStart(TestOptions(directory));
    Client client = Connect(*server);
    document = client.Upload("restart.txt", SampleText(30)).name();
    const auto undisturbed = client.Watch(client.CreateJob(document, questions, 300).name());
    for (int q = 0; q < 2; ++q) expected[q] = Listen(undisturbed, q);
    job = client.CreateJob(document, questions, 300).name();
    events = client.Watch(job, 0, 12);
    server->Shutdown(0);
  }
  for (int restart = 0; restart < 3; ++restart) {
    const auto server = MustStart(TestOptions(directory));
    Client client = Connect(*server);
    const bool last = restart == 2;
    const auto more = client.Watch(job, events.back().seq(), last ? SIZE_MAX : 9);
    events.insert(events.end(), more.begin(), more.end());
    if (!last) {
      server->Shutdown(0);
      continue;
    }
    for (size_t i = 0; i < events.size(); ++i)
      ASSERT_EQ(events[i].seq(), static_cast<int64_t>(i) + 1);
    for (int q = 0; q < 2; ++q) {
      const Heard heard = Listen(events, q);
      EXPECT_EQ(heard.ids, expected[q].ids);
      EXPECT_EQ(heard.text, expected[q].text);
      EXPECT_EQ(heard.finished, 1);
      EXPECT_EQ(heard.answer.evidence_size(), expected[q].answer.evidence_size());
    }
    EXPECT_EQ(client.Stats().documents(), 1);
    EXPECT_EQ(client.Stats().jobs(), 2);
  }
  {
    const auto server = MustStart(TestOptions(directory));
    Client client = Connect(*server);
    const Heard warm = Listen(client.Watch(client.CreateJob(document, {"one?"}, 300).name()), 0);
    EXPECT_GT(warm.answer.usage().cached_tokens_disk(), 0);
    EXPECT_EQ(warm.ids, expected[0].ids);
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace lectern::frontend
