#pragma once
// What a request must look like before anything is done for it. Each check adds to `violations` by
// the field's path.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "lectern/v1/services.pb.h"
#include "services/common/error_details.h"

namespace lectern::frontend {

// Bounds of one request; a longer list is several requests.
inline constexpr int kDocumentsMax = 64;
inline constexpr int kQuestionsMax = 1000;
inline constexpr int kQuestionBytesMax = 64 << 10;
inline constexpr int kNewTokensMax = 1 << 20;
inline constexpr int kLogprobsMax = 20;
inline constexpr int kEvidenceMax = 50;
inline constexpr int kPageSizeMax = 1000;
inline constexpr int kPageSizeDefault = 50;

void CheckRequestId(std::string_view request_id, common::FieldViolations& violations);
void CheckDocuments(const google::protobuf::RepeatedPtrField<std::string>& documents,
                    common::FieldViolations& violations);
// Not empty but for white space, bounded, valid UTF-8.
void CheckText(std::string_view field, std::string_view text, common::FieldViolations& violations);
void CheckOptions(const v1::AnswerOptions& options, common::FieldViolations& violations);

// The id of "sessions/{id}" or "jobs/{id}". InvalidArgument names `field`.
absl::StatusOr<std::string> RequireSessionId(std::string_view field, std::string_view name);
absl::StatusOr<std::string> RequireJobId(std::string_view field, std::string_view name);

absl::Status CheckCreateJob(const v1::CreateJobRequest& request);
absl::Status CheckCreateSession(const v1::CreateSessionRequest& request);
absl::Status CheckConverse(const v1::ConverseRequest& request);
absl::Status CheckStartUpload(const v1::StartUploadRequest& request);
// page_size 0 means the default; what is above the maximum means the maximum.
absl::Status CheckPageSize(int page_size);

}  // namespace lectern::frontend
