#pragma once
// A service in memory for the command line's tests: a test overrides what it needs; every other
// call is Unimplemented.

#include <string>

#include "services/cli/client.h"

namespace lectern::cli {

class FakeClient : public Client {
 public:
  std::string target() const override { return "fake"; }
  absl::Status Reconnect() override {
    ++reconnects;
    return absl::OkStatus();
  }
  bool embedded() const override { return false; }
  void CancelCalls() override {}

  absl::StatusOr<v1::StartUploadResponse> StartUpload(const v1::StartUploadRequest&) override {
    return No();
  }
  absl::StatusOr<v1::Document> Upload(const std::function<bool(v1::UploadRequest*)>&) override {
    return No();
  }
  absl::StatusOr<v1::QueryUploadResponse> QueryUpload(const v1::QueryUploadRequest&) override {
    return No();
  }
  absl::StatusOr<v1::Document> GetDocument(const v1::GetDocumentRequest&) override { return No(); }
  absl::StatusOr<v1::ListDocumentsResponse> ListDocuments(
      const v1::ListDocumentsRequest&) override {
    return No();
  }
  absl::Status DeleteDocument(const v1::DeleteDocumentRequest&) override { return No(); }
  absl::Status GetDocumentText(const v1::GetDocumentTextRequest&,
                               const Receive<v1::DocumentText>&) override {
    return No();
  }
  absl::Status WarmDocument(const v1::WarmDocumentRequest&,
                            const Receive<v1::WarmProgress>&) override {
    return No();
  }
  absl::StatusOr<v1::Job> CreateJob(const v1::CreateJobRequest&) override { return No(); }
  absl::StatusOr<v1::Job> GetJob(const v1::GetJobRequest&) override { return No(); }
  absl::StatusOr<v1::ListJobsResponse> ListJobs(const v1::ListJobsRequest&) override {
    return No();
  }
  absl::Status WatchJob(const v1::WatchJobRequest&, const Receive<v1::AnswerEvent>&) override {
    return No();
  }
  absl::StatusOr<v1::Job> CancelJob(const v1::CancelJobRequest&) override { return No(); }
  absl::StatusOr<v1::Session> CreateSession(const v1::CreateSessionRequest&) override {
    return No();
  }
  absl::StatusOr<v1::Session> GetSession(const v1::GetSessionRequest&) override { return No(); }
  absl::Status Converse(const v1::ConverseRequest&, const Receive<v1::ConverseResponse>&) override {
    return No();
  }
  absl::Status WatchTurn(const v1::WatchTurnRequest&, const Receive<v1::AnswerEvent>&) override {
    return No();
  }
  absl::StatusOr<v1::Turn> CancelTurn(const v1::CancelTurnRequest&) override { return No(); }
  absl::StatusOr<v1::Stats> GetStats() override { return No(); }
  absl::StatusOr<v1::CacheStatsResponse> CacheStats() override { return No(); }
  absl::StatusOr<v1::VerifyCacheResponse> VerifyCache() override { return No(); }
  absl::StatusOr<v1::EvictCacheResponse> EvictCache(const v1::EvictCacheRequest&) override {
    return No();
  }

  int reconnects = 0;

 private:
  static absl::Status No() { return absl::UnimplementedError("not part of this test"); }
};

}  // namespace lectern::cli
