// lectern.v1.Jobs over gRPC's callback API.
#include "lectern/v1/services.grpc.pb.h"
#include "services/frontend/event_source.h"
#include "services/frontend/rpc_calls.h"
#include "services/frontend/rpc_services.h"

namespace lectern::frontend {
namespace {

using Context = grpc::CallbackServerContext;
using Unary = grpc::ServerUnaryReactor;

class JobsService final : public v1::Jobs::CallbackService {
 public:
  JobsService(RpcContext& rpc, JobRunner& jobs) : rpc_(rpc), jobs_(jobs) {}

  Unary* CreateJob(Context* context, const v1::CreateJobRequest* request, v1::Job* reply) override {
    return Answer<v1::Job>(rpc_, context, "CreateJob", reply,
                           [this, request] { return jobs_.Create(*request); });
  }
  Unary* GetJob(Context* context, const v1::GetJobRequest* request, v1::Job* reply) override {
    return Answer<v1::Job>(rpc_, context, "GetJob", reply,
                           [this, request] { return jobs_.Get(request->name()); });
  }
  Unary* ListJobs(Context* context, const v1::ListJobsRequest* request,
                  v1::ListJobsResponse* reply) override {
    return Answer<v1::ListJobsResponse>(rpc_, context, "ListJobs", reply,
                                        [this, request] { return jobs_.List(*request); });
  }
  Unary* CancelJob(Context* context, const v1::CancelJobRequest* request, v1::Job* reply) override {
    return Answer<v1::Job>(rpc_, context, "CancelJob", reply,
                           [this, request] { return jobs_.Cancel(*request); });
  }
  Unary* DeleteJob(Context* context, const v1::DeleteJobRequest* request,
                   google::protobuf::Empty*) override {
    return RunUnary(rpc_, context, "DeleteJob", [this, request] { return jobs_.Delete(*request); });
  }

  // A watcher that goes away leaves the job running.
  grpc::ServerWriteReactor<v1::AnswerEvent>* WatchJob(Context* context,
                                                      const v1::WatchJobRequest* request) override {
    using Source = EventSource<v1::AnswerEvent>;
    const auto open = [this, request = *request]() -> absl::StatusOr<Source::Opened> {
      auto stream = jobs_.Watch(request);
      if (!stream.ok()) return stream.status();
      return Source::Opened{*std::move(stream), request.after_seq(), std::nullopt};
    };
    const auto fill = [](const v1::AnswerEvent& event, v1::AnswerEvent& message) {
      message = event;
    };
    return SourceReactor<v1::AnswerEvent>::Start(
        rpc_, context, "WatchJob", std::make_unique<Source>(rpc_, Source::Hooks{open, fill, {}}));
  }

 private:
  RpcContext& rpc_;
  JobRunner& jobs_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeJobsService(RpcContext& rpc, JobRunner& jobs) {
  return std::make_unique<JobsService>(rpc, jobs);
}

}  // namespace lectern::frontend
