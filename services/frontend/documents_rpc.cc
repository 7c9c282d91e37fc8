// lectern.v1.Documents over gRPC's callback API.
#include "lectern/v1/services.grpc.pb.h"
#include "services/frontend/request_checks.h"
#include "services/frontend/rpc_calls.h"
#include "services/frontend/rpc_services.h"
#include "services/frontend/warmer.h"

namespace lectern::frontend {
namespace {

using Context = grpc::CallbackServerContext;
using Unary = grpc::ServerUnaryReactor;

// One message at a time: read, then stored on a pool, then the next is read. So an upload holds one
// chunk in memory and a slow disk slows its client down.
class UploadReactor final : public grpc::ServerReadReactor<v1::UploadRequest> {
 public:
  UploadReactor(RpcContext& rpc, DocumentCatalog& catalog, v1::Document* reply)
      : rpc_(rpc), catalog_(catalog), reply_(reply) {
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      return End(common::InvalidField(
          "finish",
          "the stream ended without it; what is committed stays: ask QueryUpload and go on"));
    }
    TaskPool& pool = message_.has_finish() ? rpc_.ingest : rpc_.pool;
    if (!pool.TryPost([this] { Take(); })) End(ServerBusy(rpc_, "ingest_queue"));
  }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

 private:
  void Take() {
    if (message_.has_chunk()) {
      const absl::Status stored = catalog_.AppendChunk(message_.upload_id(), message_.chunk());
      if (!stored.ok()) return End(stored);
      return StartRead(&message_);
    }
    if (!message_.has_finish()) return End(common::InvalidField("part", "must be chunk or finish"));
    auto document = catalog_.FinishUpload(message_.upload_id(), message_.finish(),
                                          [this] { return cancelled_.load(); });
    if (document.ok()) *reply_ = *std::move(document);
    End(document.status());
  }
  void End(const absl::Status& status) { Finish(EndCall(rpc_, "Upload", status)); }

  RpcContext& rpc_;
  DocumentCatalog& catalog_;
  v1::Document* const reply_;
  v1::UploadRequest message_;
  std::atomic<bool> cancelled_{false};
};

class TextSource final : public MessageSource<v1::DocumentText> {
 public:
  TextSource(RpcContext& rpc, DocumentCatalog& catalog, v1::GetDocumentTextRequest request)
      : rpc_(rpc), opening_(std::make_shared<Opening>(catalog, std::move(request))) {}

  Next Pull(v1::DocumentText& message, absl::Status& status,
            const std::function<void()>& wake) override {
    const std::lock_guard lock(opening_->mutex);
    if (!opening_->range) {
      if (opening_->posted) return Next::kWait;
      opening_->posted = rpc_.pool.TryPost([opening = opening_, wake] {
        auto range = opening->catalog.OpenText(opening->request);
        {
          const std::lock_guard opened(opening->mutex);
          opening->range = std::move(range);
        }
        wake();
      });
      if (opening_->posted) return Next::kWait;
      status = ServerBusy(rpc_, "rpc_queue");
      return Next::kEnd;
    }
    status = opening_->range->status();
    if (!status.ok()) return Next::kEnd;
    DocumentCatalog::TextRange& range = **opening_->range;
    if (!first_ && range.begin == range.end) return Next::kEnd;
    message = NextText(range, first_);
    first_ = false;
    return Next::kMessage;
  }

 private:
  struct Opening {
    Opening(DocumentCatalog& c, v1::GetDocumentTextRequest r) : catalog(c), request(std::move(r)) {}
    DocumentCatalog& catalog;
    const v1::GetDocumentTextRequest request;
    std::mutex mutex;
    bool posted = false;
    std::optional<absl::StatusOr<DocumentCatalog::TextRange>> range;
  };

  RpcContext& rpc_;
  const std::shared_ptr<Opening> opening_;
  bool first_ = true;
};

class WarmSource final : public MessageSource<v1::WarmProgress> {
 public:
  WarmSource(RpcContext& rpc, const AnswerContext* answers, v1::WarmDocumentRequest request)
      : rpc_(rpc), state_(std::make_shared<State>()) {
    state_->answers = answers;
    state_->request = std::move(request);
  }

  Next Pull(v1::WarmProgress& message, absl::Status& status,
            const std::function<void()>& wake) override {
    std::shared_ptr<WarmRun> run;
    {
      const std::lock_guard lock(state_->mutex);
      state_->wake = wake;
      if (!state_->posted) {
        state_->posted = rpc_.pool.TryPost([state = state_] { Open(state); });
        if (!state_->posted) status = ServerBusy(rpc_, "rpc_queue");
        return state_->posted ? Next::kWait : Next::kEnd;
      }
      if (!state_->status.ok()) {
        status = state_->status;
        return Next::kEnd;
      }
      run = state_->run;
    }
    if (run == nullptr) return Next::kWait;
    if (ended_) return Next::kEnd;
    auto news = run->Take();
    if (!news) return Next::kWait;
    ended_ = news->last;
    status = news->status;
    if (!status.ok()) return Next::kEnd;
    message = std::move(news->progress);
    return Next::kMessage;
  }

  // Nobody else wants this work: it is given up within one step.
  void OnGone(bool) override {
    const std::lock_guard lock(state_->mutex);
    state_->gone = true;
    if (state_->run) state_->run->Cancel();
  }

 private:
  struct State {
    const AnswerContext* answers = nullptr;
    v1::WarmDocumentRequest request;
    std::mutex mutex;
    std::function<void()> wake;
    bool posted = false;
    bool gone = false;
    absl::Status status;
    std::shared_ptr<WarmRun> run;
  };

  static void Wake(const std::shared_ptr<State>& state) {
    std::function<void()> wake;
    {
      const std::lock_guard lock(state->mutex);
      wake = state->wake;
    }
    if (wake) wake();
  }

  static absl::StatusOr<std::shared_ptr<WarmRun>> Begin(const std::shared_ptr<State>& state) {
    common::FieldViolations violations;
    CheckDocuments(state->request.documents(), violations);
    const absl::Status valid = violations.ToStatus();
    if (!valid.ok()) return valid;
    if (state->answers == nullptr) {
      return common::PreconditionFailed("NO_MODEL", "server", "this process runs no model");
    }
    const auto& documents = state->request.documents();
    return WarmRun::Start(*state->answers, {documents.begin(), documents.end()},
                          [state] { Wake(state); });
  }

  static void Open(const std::shared_ptr<State>& state) {
    auto run = Begin(state);
    {
      const std::lock_guard lock(state->mutex);
      state->status = run.status();
      if (run.ok()) state->run = *std::move(run);
      if (state->gone && state->run) state->run->Cancel();
    }
    Wake(state);
  }

  RpcContext& rpc_;
  const std::shared_ptr<State> state_;
  bool ended_ = false;
};

class DocumentsService final : public v1::Documents::CallbackService {
 public:
  DocumentsService(RpcContext& rpc, DocumentCatalog& catalog, const AnswerContext* answers)
      : rpc_(rpc), catalog_(catalog), answers_(answers) {}

  Unary* StartUpload(Context* context, const v1::StartUploadRequest* request,
                     v1::StartUploadResponse* reply) override {
    return Answer<v1::StartUploadResponse>(rpc_, context, "StartUpload", reply, [this, request] {
      return catalog_.StartUpload(*request);
    });
  }
  grpc::ServerReadReactor<v1::UploadRequest>* Upload(Context*, v1::Document* reply) override {
    return new UploadReactor(rpc_, catalog_, reply);
  }
  Unary* QueryUpload(Context* context, const v1::QueryUploadRequest* request,
                     v1::QueryUploadResponse* reply) override {
    return Answer<v1::QueryUploadResponse>(rpc_, context, "QueryUpload", reply, [this, request] {
      return catalog_.QueryUpload(*request);
    });
  }
  Unary* GetDocument(Context* context, const v1::GetDocumentRequest* request,
                     v1::Document* reply) override {
    return Answer<v1::Document>(rpc_, context, "GetDocument", reply,
                                [this, request] { return catalog_.Get(request->name()); });
  }
  Unary* ListDocuments(Context* context, const v1::ListDocumentsRequest* request,
                       v1::ListDocumentsResponse* reply) override {
    return Answer<v1::ListDocumentsResponse>(rpc_, context, "ListDocuments", reply,
                                             [this, request] { return catalog_.List(*request); });
  }
  Unary* DeleteDocument(Context* context, const v1::DeleteDocumentRequest* request,
                        google::protobuf::Empty*) override {
    return RunUnary(rpc_, context, "DeleteDocument",
                    [this, request] { return catalog_.Delete(*request); });
  }
  grpc::ServerWriteReactor<v1::DocumentText>* GetDocumentText(
      Context* context, const v1::GetDocumentTextRequest* request) override {
    return SourceReactor<v1::DocumentText>::Start(
        rpc_, context, "GetDocumentText", std::make_unique<TextSource>(rpc_, catalog_, *request));
  }
  grpc::ServerWriteReactor<v1::WarmProgress>* WarmDocument(
      Context* context, const v1::WarmDocumentRequest* request) override {
    return SourceReactor<v1::WarmProgress>::Start(
        rpc_, context, "WarmDocument", std::make_unique<WarmSource>(rpc_, answers_, *request));
  }

 private:
  RpcContext& rpc_;
  DocumentCatalog& catalog_;
  const AnswerContext* const answers_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDocumentsService(RpcContext& rpc, DocumentCatalog& catalog,
                                                    const AnswerContext* answers) {
  return std::make_unique<DocumentsService>(rpc, catalog, answers);
}

}  // namespace lectern::frontend
