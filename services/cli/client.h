#pragma once
// The service as a client command sees it: typed calls, absl::Status, no gRPC. Behind it a server's
// port or a server in this process: one code path for both.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lectern/v1/services.pb.h"
#include "services/frontend/server.h"

namespace lectern::cli {

struct ConnectOptions {
  std::string server;  // host:port; empty: by embedded.data_directory
  // Where no server holds the data directory, one is started in this process with these options
  // (never on a port).
  frontend::ServerOptions embedded;
};

// Calls block. Thread safe: CancelCalls may come from another thread while calls run.
class Client {
 public:
  // Returns false to end a stream early; the call then returns OK.
  template <typename Message>
  using Receive = std::function<bool(const Message&)>;

  // Unavailable: nobody answers at `server`. Otherwise the embedded server's error (model, state).
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const ConnectOptions& options);
  virtual ~Client() = default;

  // "127.0.0.1:7171", or "in process".
  virtual std::string target() const = 0;
  // After Unavailable: finds the server again (it may have restarted on another port). Not for the
  // embedded one.
  virtual absl::Status Reconnect() = 0;
  virtual bool embedded() const = 0;
  // Ends the calls that run now with Cancelled.
  virtual void CancelCalls() = 0;

  virtual absl::StatusOr<v1::StartUploadResponse> StartUpload(
      const v1::StartUploadRequest& request) = 0;
  // `next` fills the next message and returns false after the last one.
  virtual absl::StatusOr<v1::Document> Upload(
      const std::function<bool(v1::UploadRequest*)>& next) = 0;
  virtual absl::StatusOr<v1::QueryUploadResponse> QueryUpload(
      const v1::QueryUploadRequest& request) = 0;
  virtual absl::StatusOr<v1::Document> GetDocument(const v1::GetDocumentRequest& request) = 0;
  virtual absl::StatusOr<v1::ListDocumentsResponse> ListDocuments(
      const v1::ListDocumentsRequest& request) = 0;
  virtual absl::Status DeleteDocument(const v1::DeleteDocumentRequest& request) = 0;
  virtual absl::Status GetDocumentText(const v1::GetDocumentTextRequest& request,
                                       const Receive<v1::DocumentText>& receive) = 0;
  virtual absl::Status WarmDocument(const v1::WarmDocumentRequest& request,
                                    const Receive<v1::WarmProgress>& receive) = 0;

  virtual absl::StatusOr<v1::Job> CreateJob(const v1::CreateJobRequest& request) = 0;
  virtual absl::StatusOr<v1::Job> GetJob(const v1::GetJobRequest& request) = 0;
  virtual absl::StatusOr<v1::ListJobsResponse> ListJobs(const v1::ListJobsRequest& request) = 0;
  virtual absl::Status WatchJob(const v1::WatchJobRequest& request,
                                const Receive<v1::AnswerEvent>& receive) = 0;
  virtual absl::StatusOr<v1::Job> CancelJob(const v1::CancelJobRequest& request) = 0;

  virtual absl::StatusOr<v1::Session> CreateSession(const v1::CreateSessionRequest& request) = 0;
  virtual absl::StatusOr<v1::Session> GetSession(const v1::GetSessionRequest& request) = 0;
  virtual absl::Status Converse(const v1::ConverseRequest& request,
                                const Receive<v1::ConverseResponse>& receive) = 0;
  virtual absl::Status WatchTurn(const v1::WatchTurnRequest& request,
                                 const Receive<v1::AnswerEvent>& receive) = 0;
  virtual absl::StatusOr<v1::Turn> CancelTurn(const v1::CancelTurnRequest& request) = 0;

  virtual absl::StatusOr<v1::Stats> GetStats() = 0;
  virtual absl::StatusOr<v1::CacheStatsResponse> CacheStats() = 0;
  virtual absl::StatusOr<v1::VerifyCacheResponse> VerifyCache() = 0;
  virtual absl::StatusOr<v1::EvictCacheResponse> EvictCache(
      const v1::EvictCacheRequest& request) = 0;
};

}  // namespace lectern::cli
