#pragma once
// The one place where our errors meet gRPC's. Codes have equal numbers on both sides; details
// travel as a serialised google.rpc.Status in the trailing metadata "grpc-status-details-bin".

#include "absl/status/status.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace lectern::common {

grpc::Status ToGrpcStatus(const absl::Status& status);
// Details that do not parse are dropped; code and message always survive.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace lectern::common
