// The edge: what is refused and how, health, reflection, metrics, locks, limits, malformed bytes.
#include <grpcpp/impl/codegen/client_unary_call.h>

#include <random>
#include <thread>

#include "services/frontend/listen_address.h"
#include "services/frontend/stall_detector.h"
#include "tests/services/frontend/server_fixture.h"
#include "tests/testing/http_get.h"

namespace lectern::frontend {
namespace {

grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const char* method,
                     const std::string& bytes, std::string* reply) {
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  const grpc::internal::RpcMethod rpc(method, grpc::internal::RpcMethod::NORMAL_RPC);
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel.get(), rpc, &context, request, &response);
  std::vector<grpc::Slice> slices;
  if (status.ok() && response.Dump(&slices).ok()) {
    for (const auto& part : slices) {
      reply->append(reinterpret_cast<const char*>(part.begin()), part.size());
    }
  }
  return status;
}

// grpc.health.v1.Health/Check: 1 SERVING, 2 NOT_SERVING; -1 not known.
int Check(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  std::string request;
  if (!service.empty()) {
    request = std::string("\x0a") + static_cast<char>(service.size()) + service;
  }
  std::string reply;
  const grpc::Status status = CallRaw(channel, "/grpc.health.v1.Health/Check", request, &reply);
  if (!status.ok() || reply.size() != 2 || reply[0] != 8) return -1;
  return reply[1];
}

class EdgeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new std::string(FreshDirectory("edge_test"));
    ServerOptions options = TestOptions(*directory_);
    options.metrics_address = "127.0.0.1:0";
    server_ = MustStart(options).release();
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
std::string* EdgeTest::directory_ = nullptr;
Server* EdgeTest::server_ = nullptr;

TEST_F(EdgeTest, HealthPerService) {
  EXPECT_EQ(Check(client_.channel, ""), 1);
  for (const char* service :
       {"lectern.v1.Documents", "lectern.v1.Jobs", "lectern.v1.Sessions", "lectern.v1.Admin"}) {
    EXPECT_EQ(Check(client_.channel, service), 1) << service;
  }
  EXPECT_EQ(Check(client_.channel, "lectern.v1.None"), -1);
}

TEST_F(EdgeTest, ReflectionListsTheServices) {
  const grpc::internal::RpcMethod method(
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      grpc::internal::RpcMethod::BIDI_STREAMING, client_.channel);
  grpc::ClientContext context;
  const std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          client_.channel.get(), method, &context));
  const grpc::Slice list(std::string("\x3a\x00", 2));  // list_services: ""
  ASSERT_TRUE(stream->Write(grpc::ByteBuffer(&list, 1)));
  grpc::ByteBuffer reply;
  ASSERT_TRUE(stream->Read(&reply));
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(reply.Dump(&slices).ok());
  std::string bytes;
  for (const auto& s : slices) bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  EXPECT_NE(bytes.find("lectern.v1.Jobs"), std::string::npos);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(EdgeTest, ErrorsNameTheFieldAndTheReason) {
  v1::CreateJobRequest request;
  request.mutable_options()->mutable_sampling()->set_top_p(3);
  v1::Job job;
  grpc::ClientContext context;
  const grpc::Status refused = client_.jobs->CreateJob(&context, request, &job);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(refused), "BAD_REQUEST");
  google::rpc::BadRequest bad;
  ASSERT_TRUE(common::GetBadRequest(common::FromGrpcStatus(refused), &bad));
  EXPECT_EQ(bad.field_violations_size(), 3);  // top_p, documents, questions

  v1::GetJobRequest get;
  get.set_name("jobs/none");
  grpc::ClientContext get_context;
  const grpc::Status missing = client_.jobs->GetJob(&get_context, get, &job);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(missing), "RESOURCE_NOT_FOUND");

  v1::WatchJobRequest watch;
  watch.set_name("jobs/none");
  grpc::ClientContext watch_context;
  const auto reader = client_.jobs->WatchJob(&watch_context, watch);
  v1::AnswerEvent event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(EdgeTest, APassedDeadlineIsHonoured) {
  v1::Stats stats;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(client_.admin->GetStats(&context, {}, &stats).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(EdgeTest, TooLargeMessagesAreRefusedUnread) {
  v1::Document document;
  v1::UploadRequest huge = Client::Chunk("upload", 0, std::string(5 << 20, 'x'));
  EXPECT_EQ(client_.Send({huge}, &document).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(EdgeTest, MalformedBytesAreAnErrorAndNoMore) {
  std::mt19937_64 random(20261122);
  SCOPED_TRACE("seed 20261122");
  v1::CreateJobRequest request;
  request.add_documents("documents/x");
  request.add_questions()->set_text("what?");
  request.mutable_options()->mutable_sampling()->set_temperature(1);
  const std::string good = request.SerializeAsString();
  for (int i = 0; i < 300; ++i) {
    std::string bytes = good;
    for (int flips = 0; flips < 1 + i % 8; ++flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    std::string reply;
    const grpc::Status status =
        CallRaw(client_.channel, "/lectern.v1.Jobs/CreateJob", bytes, &reply);
    EXPECT_FALSE(status.ok());
  }
  // A length of 2 GiB, and a string that is not UTF-8.
  std::string reply;
  EXPECT_FALSE(CallRaw(client_.channel, "/lectern.v1.Jobs/CreateJob",
                       std::string("\x0a\xff\xff\xff\xff\x07"
                                   "a",
                                   7),
                       &reply)
                   .ok());
  EXPECT_FALSE(CallRaw(client_.channel, "/lectern.v1.Jobs/GetJob",
                       std::string("\x0a\x06jobs/\xff", 8), &reply)
                   .ok());
  EXPECT_FALSE(CallRaw(client_.channel, "/lectern.v1.Jobs/NoSuchMethod", "", &reply).ok());
  EXPECT_EQ(Check(client_.channel, ""), 1);  // it lives
}

TEST_F(EdgeTest, MetricsPortShowsWhatHappened) {
  const v1::Document document = client_.Upload("metrics.txt", SampleText(8));
  client_.Watch(client_.CreateJob(document.name(), {"q?"}, 8).name());
  const testing::HttpReply scrape = testing::HttpGet(server_->metrics_address(), "/metrics");
  ASSERT_EQ(scrape.code, 200);
  const std::string& body = scrape.body;
  EXPECT_EQ(testing::HttpGet(server_->metrics_address(), "/healthz").code, 200);
  for (const char* name : {"lectern_time_to_first_token_seconds_bucket{cache=\"miss\"",
                           "lectern_request_e2e_seconds_count", "lectern_prompt_tokens_total{",
                           "lectern_generation_tokens_total{", "lectern_leaked_pages 0",
                           "lectern_requests_total{finish_reason=", "lectern_requests_running 0",
                           "lectern_cache_pages{", "lectern_documents_ingested_total 1",
                           "process_resident_memory_bytes",
                           "lectern_rpcs_total{code=\"OK\",method=\"CreateJob\"} 1"}) {
    EXPECT_NE(body.find(name), std::string::npos) << name;
  }
}

TEST_F(EdgeTest, OneProcessHoldsADataDirectory) {
  const auto second = Server::Start(TestOptions(*directory_));
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_NE(std::string(second.status().message()).find(server_->address()), std::string::npos);
  const auto found = FindServer(*directory_);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, server_->address());
}

TEST(Server, OutsideAddressesNeedTls) {
  ServerOptions options = TestOptions(FreshDirectory("never_made"));
  options.listen_address = "0.0.0.0:0";
  EXPECT_TRUE(absl::IsFailedPrecondition(Server::Start(options).status()));
  EXPECT_FALSE(std::filesystem::exists(options.data_directory));
  EXPECT_TRUE(IsLoopback("127.0.0.1:1"));
  EXPECT_TRUE(IsLoopback("127.8.8.8:1"));
  EXPECT_TRUE(IsLoopback("[::1]:1"));
  for (const char* outside :
       {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "127.0.0.1.evil.org:1"}) {
    EXPECT_FALSE(IsLoopback(outside)) << outside;
  }
}

TEST(Server, WithoutAPortAndWithoutAnEngine) {
  const std::string directory = FreshDirectory("no_engine");
  ServerOptions options = TestOptions(directory);
  options.listen_address = "";
  options.start_engine = false;
  options.engine.model_directory = "";
  {
    const auto server = MustStart(options);
    EXPECT_EQ(server->address(), "");
    EXPECT_TRUE(absl::IsUnavailable(FindServer(directory).status()));
    Client client(server->InProcessChannel());
    const v1::Document document = client.Upload("a.txt", "Some text to keep.");
    EXPECT_EQ(document.paragraphs(), 1);
    v1::CreateJobRequest request;
    request.add_documents(document.name());
    request.add_questions()->set_text("q?");
    v1::Job job;
    grpc::ClientContext context;
    const grpc::Status refused = client.jobs->CreateJob(&context, request, &job);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(Reason(refused), "NO_MODEL");
  }
  EXPECT_TRUE(absl::IsNotFound(FindServer(directory).status()));
  std::filesystem::remove_all(directory);
}

// One message of a stream of grpc.health.v1.HealthCheckResponse; -1 at its end.
int ReadHealth(grpc::ClientReader<grpc::ByteBuffer>& stream) {
  grpc::ByteBuffer message;
  std::vector<grpc::Slice> slices;
  if (!stream.Read(&message) || !message.Dump(&slices).ok()) return -1;
  std::string bytes;
  for (const auto& s : slices) bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return bytes.size() == 2 ? bytes[1] : -1;
}

TEST(Server, ShutdownTurnsHealthEndsWatchesAndRefusesWork) {
  const std::string directory = FreshDirectory("shutdown");
  auto server = MustStart(TestOptions(directory));
  Client client = Connect(*server);
  const v1::Document document = client.Upload("s.txt", SampleText(12));
  const v1::Job job = client.CreateJob(document.name(), {"long?"}, 20'000);
  std::thread watcher([&] { client.Watch(job.name()); });

  const grpc::Slice service(std::string("\x0a\x0flectern.v1.Jobs", 17));
  const grpc::ByteBuffer request(&service, 1);
  grpc::ClientContext health_context;
  const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Watch",
                                         grpc::internal::RpcMethod::SERVER_STREAMING);
  const std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>> health(
      grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(client.channel.get(), method,
                                                                    &health_context, request));
  EXPECT_EQ(ReadHealth(*health), 1);  // SERVING
  std::thread stopping([&] { server->Shutdown(0.5); });
  EXPECT_EQ(ReadHealth(*health), 2);  // NOT_SERVING
  stopping.join();
  watcher.join();
  EXPECT_EQ(ReadHealth(*health), -1);
  v1::Stats stats;
  grpc::ClientContext context;
  EXPECT_EQ(client.admin->GetStats(&context, {}, &stats).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  server.reset();
  std::filesystem::remove_all(directory);
}

TEST(StallDetector, TellsAHangFromIdlenessAndFromWork) {
  using std::chrono::seconds;
  StallDetector detector(seconds(10));
  EngineStats stats;
  EXPECT_FALSE(detector.Stalled(stats, seconds(0)));
  EXPECT_FALSE(detector.Stalled(stats, seconds(100)));  // idle
  stats.requests_running = 1;
  EXPECT_FALSE(detector.Stalled(stats, seconds(101)));
  stats.indexer_runs = 5;
  EXPECT_FALSE(detector.Stalled(stats, seconds(111)));  // it moved
  EXPECT_FALSE(detector.Stalled(stats, seconds(120)));
  EXPECT_TRUE(detector.Stalled(stats, seconds(121)));
  stats.indexer_runs = 6;
  EXPECT_FALSE(detector.Stalled(stats, seconds(122)));
}

}  // namespace
}  // namespace lectern::frontend
