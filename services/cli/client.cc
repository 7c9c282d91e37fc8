#include "services/cli/client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "lectern/v1/services.grpc.pb.h"
#include "services/common/grpc_status.h"

namespace lectern::cli {
namespace {

// A unary call that hangs longer than this is broken: an eviction of a full disk tier takes
// seconds.
constexpr std::chrono::seconds kUnaryDeadline{300};
// How long another holder of the data directory is waited for.
constexpr std::chrono::seconds kHolderPatience{30};

class GrpcClient final : public Client {
 public:
  GrpcClient(ConnectOptions options, std::unique_ptr<frontend::Server> server)
      : options_(std::move(options)), server_(std::move(server)) {}
  ~GrpcClient() override {
    documents_.reset();
    jobs_.reset();
    sessions_.reset();
    admin_.reset();
    constexpr double kGraceSeconds = 5;
    if (server_ != nullptr) server_->Shutdown(kGraceSeconds);
  }

  absl::Status Dial() {
    std::shared_ptr<grpc::Channel> channel;
    if (server_ != nullptr) {
      target_ = "in process";
      channel = server_->InProcessChannel();
    } else {
      target_ = options_.server;
      if (target_.empty()) {
        ASSIGN_OR_RETURN(target_, frontend::FindServer(options_.embedded.data_directory));
      }
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(64 << 20);
      // A command lives for seconds: a restarted server is found again soon.
      arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
      channel = grpc::CreateCustomChannel(target_, grpc::InsecureChannelCredentials(), arguments);
    }
    documents_ = v1::Documents::NewStub(channel);
    jobs_ = v1::Jobs::NewStub(channel);
    sessions_ = v1::Sessions::NewStub(channel);
    admin_ = v1::Admin::NewStub(channel);
    return absl::OkStatus();
  }

  std::string target() const override { return target_; }
  bool embedded() const override { return server_ != nullptr; }
  absl::Status Reconnect() override {
    if (server_ != nullptr)
      return absl::FailedPreconditionError("the server in this process stopped");
    return Dial();
  }
  void CancelCalls() override {
    const std::lock_guard lock(mutex_);
    for (grpc::ClientContext* context : running_) context->TryCancel();
  }

  absl::StatusOr<v1::StartUploadResponse> StartUpload(
      const v1::StartUploadRequest& request) override {
    return Unary<v1::StartUploadResponse>(*documents_, &v1::Documents::Stub::StartUpload, request);
  }
  absl::StatusOr<v1::Document> Upload(const std::function<bool(v1::UploadRequest*)>& next) override;
  absl::StatusOr<v1::QueryUploadResponse> QueryUpload(
      const v1::QueryUploadRequest& request) override {
    return Unary<v1::QueryUploadResponse>(*documents_, &v1::Documents::Stub::QueryUpload, request);
  }
  absl::StatusOr<v1::Document> GetDocument(const v1::GetDocumentRequest& request) override {
    return Unary<v1::Document>(*documents_, &v1::Documents::Stub::GetDocument, request);
  }
  absl::StatusOr<v1::ListDocumentsResponse> ListDocuments(
      const v1::ListDocumentsRequest& request) override {
    return Unary<v1::ListDocumentsResponse>(*documents_, &v1::Documents::Stub::ListDocuments,
                                            request);
  }
  absl::Status DeleteDocument(const v1::DeleteDocumentRequest& request) override {
    return Unary<google::protobuf::Empty>(*documents_, &v1::Documents::Stub::DeleteDocument,
                                          request)
        .status();
  }
  absl::Status GetDocumentText(const v1::GetDocumentTextRequest& request,
                               const Receive<v1::DocumentText>& receive) override {
    return Stream(*documents_, &v1::Documents::Stub::GetDocumentText, request, receive);
  }
  absl::Status WarmDocument(const v1::WarmDocumentRequest& request,
                            const Receive<v1::WarmProgress>& receive) override {
    return Stream(*documents_, &v1::Documents::Stub::WarmDocument, request, receive);
  }

  absl::StatusOr<v1::Job> CreateJob(const v1::CreateJobRequest& request) override {
    return Unary<v1::Job>(*jobs_, &v1::Jobs::Stub::CreateJob, request);
  }
  absl::StatusOr<v1::Job> GetJob(const v1::GetJobRequest& request) override {
    return Unary<v1::Job>(*jobs_, &v1::Jobs::Stub::GetJob, request);
  }
  absl::StatusOr<v1::ListJobsResponse> ListJobs(const v1::ListJobsRequest& request) override {
    return Unary<v1::ListJobsResponse>(*jobs_, &v1::Jobs::Stub::ListJobs, request);
  }
  absl::Status WatchJob(const v1::WatchJobRequest& request,
                        const Receive<v1::AnswerEvent>& receive) override {
    return Stream(*jobs_, &v1::Jobs::Stub::WatchJob, request, receive);
  }
  absl::StatusOr<v1::Job> CancelJob(const v1::CancelJobRequest& request) override {
    return Unary<v1::Job>(*jobs_, &v1::Jobs::Stub::CancelJob, request);
  }

  absl::StatusOr<v1::Session> CreateSession(const v1::CreateSessionRequest& request) override {
    return Unary<v1::Session>(*sessions_, &v1::Sessions::Stub::CreateSession, request);
  }
  absl::StatusOr<v1::Session> GetSession(const v1::GetSessionRequest& request) override {
    return Unary<v1::Session>(*sessions_, &v1::Sessions::Stub::GetSession, request);
  }
  absl::Status Converse(const v1::ConverseRequest& request,
                        const Receive<v1::ConverseResponse>& receive) override {
    return Stream(*sessions_, &v1::Sessions::Stub::Converse, request, receive);
  }
  absl::Status WatchTurn(const v1::WatchTurnRequest& request,
                         const Receive<v1::AnswerEvent>& receive) override {
    return Stream(*sessions_, &v1::Sessions::Stub::WatchTurn, request, receive);
  }
  absl::StatusOr<v1::Turn> CancelTurn(const v1::CancelTurnRequest& request) override {
    return Unary<v1::Turn>(*sessions_, &v1::Sessions::Stub::CancelTurn, request);
  }

  absl::StatusOr<v1::Stats> GetStats() override {
    return Unary<v1::Stats>(*admin_, &v1::Admin::Stub::GetStats, v1::GetStatsRequest());
  }
  absl::StatusOr<v1::CacheStatsResponse> CacheStats() override {
    return Unary<v1::CacheStatsResponse>(*admin_, &v1::Admin::Stub::CacheStats,
                                         v1::CacheStatsRequest());
  }
  absl::StatusOr<v1::VerifyCacheResponse> VerifyCache() override {
    return Unary<v1::VerifyCacheResponse>(*admin_, &v1::Admin::Stub::VerifyCache,
                                          v1::VerifyCacheRequest());
  }
  absl::StatusOr<v1::EvictCacheResponse> EvictCache(const v1::EvictCacheRequest& request) override {
    return Unary<v1::EvictCacheResponse>(*admin_, &v1::Admin::Stub::EvictCache, request);
  }

 private:
  // Keeps a call's context where CancelCalls finds it.
  class Running {
   public:
    Running(GrpcClient& client, grpc::ClientContext& context) : client_(client), context_(context) {
      const std::lock_guard lock(client_.mutex_);
      client_.running_.insert(&context_);
    }
    ~Running() {
      const std::lock_guard lock(client_.mutex_);
      client_.running_.erase(&context_);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    GrpcClient& client_;
    grpc::ClientContext& context_;
  };

  absl::Status Explain(const grpc::Status& status) const {
    const absl::Status plain = common::FromGrpcStatus(status);
    if (plain.code() != absl::StatusCode::kUnavailable) return plain;
    return base::Annotate(plain, absl::StrCat("server ", target_));
  }

  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> Unary(Stub& stub,
                                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                                 const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kUnaryDeadline);
    const Running running(*this, context);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return Explain(status);
    return response;
  }

  template <typename Stub, typename Request, typename Message>
  absl::Status Stream(Stub& stub,
                      std::unique_ptr<grpc::ClientReader<Message>> (Stub::*method)(
                          grpc::ClientContext*, const Request&),
                      const Request& request, const Receive<Message>& receive) {
    grpc::ClientContext context;
    const Running running(*this, context);
    std::unique_ptr<grpc::ClientReader<Message>> reader = (stub.*method)(&context, request);
    bool ended_early = false;
    for (Message message; reader->Read(&message);) {
      if (receive(message)) continue;
      ended_early = true;
      context.TryCancel();
      break;
    }
    const grpc::Status status = reader->Finish();
    return status.ok() || ended_early ? absl::OkStatus() : Explain(status);
  }

  ConnectOptions options_;
  std::unique_ptr<frontend::Server> server_;
  std::string target_;
  std::unique_ptr<v1::Documents::Stub> documents_;
  std::unique_ptr<v1::Jobs::Stub> jobs_;
  std::unique_ptr<v1::Sessions::Stub> sessions_;
  std::unique_ptr<v1::Admin::Stub> admin_;
  std::mutex mutex_;
  std::set<grpc::ClientContext*> running_;
};

absl::StatusOr<v1::Document> GrpcClient::Upload(
    const std::function<bool(v1::UploadRequest*)>& next) {
  grpc::ClientContext context;
  const Running running(*this, context);
  v1::Document document;
  std::unique_ptr<grpc::ClientWriter<v1::UploadRequest>> writer =
      documents_->Upload(&context, &document);
  // A failed Write means that the server has ended the stream: Finish says why.
  for (v1::UploadRequest request; next(&request); request.Clear()) {
    if (!writer->Write(request)) break;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return Explain(status);
  return document;
}

// A server of this process, or nothing where another process answers for the data directory by now.
// One that is starting, or a command that runs its own engine there, is waited for.
absl::StatusOr<std::unique_ptr<frontend::Server>> StartUnlessHeld(
    const frontend::ServerOptions& options) {
  const auto give_up = std::chrono::steady_clock::now() + kHolderPatience;
  for (;;) {
    absl::Status status = frontend::FindServer(options.data_directory).status();
    if (status.ok()) return nullptr;
    if (absl::IsNotFound(status)) {
      absl::StatusOr<std::unique_ptr<frontend::Server>> server = frontend::Server::Start(options);
      if (server.ok() || !absl::IsFailedPrecondition(server.status())) return server;
      status = server.status();
      // Only where another process took the directory in between is there something to wait for.
      if (absl::IsNotFound(frontend::FindServer(options.data_directory).status())) return status;
    }
    if (std::chrono::steady_clock::now() > give_up) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const ConnectOptions& options) {
  std::unique_ptr<frontend::Server> server;
  if (options.server.empty()) {
    frontend::ServerOptions embedded = options.embedded;
    embedded.listen_address.clear();
    embedded.metrics_address.clear();
    ASSIGN_OR_RETURN(server, StartUnlessHeld(embedded));
  }
  auto client = std::make_unique<GrpcClient>(options, std::move(server));
  RETURN_IF_ERROR(client->Dial());
  return client;
}

}  // namespace lectern::cli
