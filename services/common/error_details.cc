#include "services/common/error_details.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"

namespace lectern::common {
namespace {

constexpr std::string_view kUrlPrefix = "type.googleapis.com/";

template <typename Detail>
std::string Url() {
  return absl::StrCat(base::ToAbsl(kUrlPrefix), Detail::descriptor()->full_name());
}

template <typename Detail>
void SetDetail(absl::Status& status, const Detail& detail) {
  status.SetPayload(Url<Detail>(), absl::Cord(detail.SerializeAsString()));
}

template <typename Detail>
bool GetDetail(const absl::Status& status, Detail* detail) {
  const auto payload = status.GetPayload(Url<Detail>());
  return payload.has_value() && detail->ParseFromString(std::string(*payload));
}

google::rpc::ErrorInfo MakeInfo(std::string_view reason, ErrorMetadata metadata) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(std::string(kErrorDomain));
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[std::string(key)] = value;
  return info;
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message,
                       ErrorMetadata metadata) {
  absl::Status status(code, base::ToAbsl(message));
  SetDetail(status, MakeInfo(reason, metadata));
  return status;
}

absl::Status Overloaded(std::string_view reason, std::string_view message,
                        std::chrono::milliseconds retry_after, ErrorMetadata metadata) {
  absl::Status status = MakeError(absl::StatusCode::kResourceExhausted, reason, message, metadata);
  google::rpc::RetryInfo retry;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(retry_after);
  retry.mutable_retry_delay()->set_seconds(seconds.count());
  retry.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>(std::chrono::nanoseconds(retry_after - seconds).count()));
  SetDetail(status, retry);
  return status;
}

absl::Status PreconditionFailed(std::string_view reason, std::string_view subject,
                                std::string_view message, ErrorMetadata metadata) {
  absl::Status status = MakeError(absl::StatusCode::kFailedPrecondition, reason, message, metadata);
  google::rpc::PreconditionFailure failure;
  auto* violation = failure.add_violations();
  violation->set_type(std::string(reason));
  violation->set_subject(std::string(subject));
  violation->set_description(std::string(message));
  SetDetail(status, failure);
  return status;
}

absl::Status ResourceNotFound(std::string_view name) {
  return MakeError(absl::StatusCode::kNotFound, "RESOURCE_NOT_FOUND",
                   absl::StrCat(base::ToAbsl(name), " does not exist"),
                   {{"resource", std::string(name)}});
}

void FieldViolations::Add(std::string_view field, std::string_view description) {
  violations_.emplace_back(field, description);
}

absl::Status FieldViolations::ToStatus() const {
  if (violations_.empty()) return absl::OkStatus();
  google::rpc::BadRequest request;
  std::string message;
  for (const auto& [field, description] : violations_) {
    auto* violation = request.add_field_violations();
    violation->set_field(field);
    violation->set_description(description);
    absl::StrAppend(&message, message.empty() ? "" : "; ", field, ": ", description);
  }
  absl::Status status = MakeError(absl::StatusCode::kInvalidArgument, "BAD_REQUEST", message);
  SetDetail(status, request);
  return status;
}

absl::Status InvalidField(std::string_view field, std::string_view description) {
  FieldViolations violations;
  violations.Add(field, description);
  return violations.ToStatus();
}

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status out;
  if (status.ok()) return out;
  out.set_code(static_cast<int32_t>(status.code()));
  out.set_message(std::string(base::ToStd(status.message())));
  absl::Status complete = status;
  google::rpc::ErrorInfo info;
  if (!GetErrorInfo(status, &info)) SetDetail(complete, MakeInfo(CodeName(status.code()), {}));
  complete.ForEachPayload([&out](absl::string_view url, const absl::Cord& payload) {
    auto* detail = out.add_details();
    detail->set_type_url(std::string(base::ToStd(url)));
    detail->set_value(std::string(payload));
  });
  return out;
}

absl::Status FromRpcStatus(const google::rpc::Status& status) {
  if (status.code() == 0) return absl::OkStatus();
  absl::Status out(static_cast<absl::StatusCode>(status.code()), status.message());
  for (const auto& detail : status.details()) {
    out.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return out;
}

bool GetErrorInfo(const absl::Status& status, google::rpc::ErrorInfo* info) {
  return GetDetail(status, info);
}
bool GetBadRequest(const absl::Status& status, google::rpc::BadRequest* request) {
  return GetDetail(status, request);
}
bool GetRetryInfo(const absl::Status& status, google::rpc::RetryInfo* retry) {
  return GetDetail(status, retry);
}

std::string_view CodeName(absl::StatusCode code) {
  static constexpr std::string_view kNames[] = {"OK",
                                                "CANCELLED",
                                                "UNKNOWN",
                                                "INVALID_ARGUMENT",
                                                "DEADLINE_EXCEEDED",
                                                "NOT_FOUND",
                                                "ALREADY_EXISTS",
                                                "PERMISSION_DENIED",
                                                "RESOURCE_EXHAUSTED",
                                                "FAILED_PRECONDITION",
                                                "ABORTED",
                                                "OUT_OF_RANGE",
                                                "UNIMPLEMENTED",
                                                "INTERNAL",
                                                "UNAVAILABLE",
                                                "DATA_LOSS",
                                                "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

}  // namespace lectern::common
