// lectern.v1.Admin over gRPC's callback API.
#include "lectern/v1/services.grpc.pb.h"
#include "services/frontend/rpc_calls.h"
#include "services/frontend/rpc_services.h"

namespace lectern::frontend {
namespace {

using Context = grpc::CallbackServerContext;
using Unary = grpc::ServerUnaryReactor;

class AdminService final : public v1::Admin::CallbackService {
 public:
  AdminService(RpcContext& rpc, Statistics& statistics) : rpc_(rpc), statistics_(statistics) {}

  Unary* GetStats(Context* context, const v1::GetStatsRequest*, v1::Stats* reply) override {
    return Answer<v1::Stats>(rpc_, context, "GetStats", reply,
                             [this] { return statistics_.Get(); });
  }
  Unary* CacheStats(Context* context, const v1::CacheStatsRequest*,
                    v1::CacheStatsResponse* reply) override {
    return Answer<v1::CacheStatsResponse>(rpc_, context, "CacheStats", reply,
                                          [this] { return statistics_.Cache(); });
  }
  Unary* VerifyCache(Context* context, const v1::VerifyCacheRequest*,
                     v1::VerifyCacheResponse* reply) override {
    return Answer<v1::VerifyCacheResponse>(rpc_, context, "VerifyCache", reply,
                                           [this] { return statistics_.Verify(); });
  }
  Unary* EvictCache(Context* context, const v1::EvictCacheRequest* request,
                    v1::EvictCacheResponse* reply) override {
    return Answer<v1::EvictCacheResponse>(rpc_, context, "EvictCache", reply,
                                          [this, request] { return statistics_.Evict(*request); });
  }

 private:
  RpcContext& rpc_;
  Statistics& statistics_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(RpcContext& rpc, Statistics& statistics) {
  return std::make_unique<AdminService>(rpc, statistics);
}

}  // namespace lectern::frontend
