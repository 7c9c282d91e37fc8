#pragma once
// The gRPC services as objects that a server registers. gRPC stays out of this header.

#include <memory>

#include "services/common/health_state.h"
#include "services/frontend/document_catalog.h"
#include "services/frontend/job_runner.h"
#include "services/frontend/session_runner.h"
#include "services/frontend/statistics.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace lectern::frontend {

struct RpcContext;

// Everything given outlives the service.
std::unique_ptr<grpc::Service> MakeDocumentsService(RpcContext& rpc, DocumentCatalog& catalog,
                                                    const AnswerContext* answers);
std::unique_ptr<grpc::Service> MakeJobsService(RpcContext& rpc, JobRunner& jobs);
std::unique_ptr<grpc::Service> MakeSessionsService(RpcContext& rpc, SessionRunner& sessions);
std::unique_ptr<grpc::Service> MakeAdminService(RpcContext& rpc, Statistics& statistics);

}  // namespace lectern::frontend
