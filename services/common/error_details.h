#pragma once
// Errors with google.rpc details, as absl::Status whose payloads are the serialised detail messages
// (type URL "type.googleapis.com/google.rpc.ErrorInfo" and so on). Everything behind the RPC edge
// builds errors here; grpc_status.h puts them on the wire.

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace lectern::common {

// ErrorInfo.domain of every error of this service.
inline constexpr std::string_view kErrorDomain = "lectern";

using ErrorMetadata = std::initializer_list<std::pair<std::string_view, std::string>>;

// An error with ErrorInfo{reason, "lectern", metadata}. `reason` is stable, UPPER_SNAKE_CASE.
absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message,
                       ErrorMetadata metadata = {});

// RESOURCE_EXHAUSTED that says when to come back; for shedding and full queues.
absl::Status Overloaded(std::string_view reason, std::string_view message,
                        std::chrono::milliseconds retry_after, ErrorMetadata metadata = {});

// FAILED_PRECONDITION with a PreconditionFailure about `subject` (a resource name).
absl::Status PreconditionFailed(std::string_view reason, std::string_view subject,
                                std::string_view message, ErrorMetadata metadata = {});

// NOT_FOUND for a resource name.
absl::Status ResourceNotFound(std::string_view name);

// Collects what is wrong with a request, so that the caller learns all of it at once.
class FieldViolations {
 public:
  // `field` as in the proto: "options.sampling.top_p", "questions[3].text".
  void Add(std::string_view field, std::string_view description);
  bool empty() const { return violations_.empty(); }
  // OK where nothing was added; else InvalidArgument with ErrorInfo BAD_REQUEST and BadRequest.
  absl::Status ToStatus() const;

 private:
  std::vector<std::pair<std::string, std::string>> violations_;
};

absl::Status InvalidField(std::string_view field, std::string_view description);

// The error as google.rpc.Status with every payload as a detail. Adds ErrorInfo with a reason named
// after the code where the error has none. OK gives an empty message.
google::rpc::Status ToRpcStatus(const absl::Status& status);
// The inverse; detail types that this file does not know are kept as payloads too.
absl::Status FromRpcStatus(const google::rpc::Status& status);

// Detail messages of an error, where it has them.
bool GetErrorInfo(const absl::Status& status, google::rpc::ErrorInfo* info);
bool GetBadRequest(const absl::Status& status, google::rpc::BadRequest* request);
bool GetRetryInfo(const absl::Status& status, google::rpc::RetryInfo* retry);

// "INVALID_ARGUMENT": the canonical name of a code.
std::string_view CodeName(absl::StatusCode code);

}  // namespace lectern::common
