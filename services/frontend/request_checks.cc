#include "services/frontend/request_checks.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/tokenizer/stop_matcher.h"
#include "engine/tokenizer/utf8.h"
#include "services/frontend/resource_names.h"

namespace lectern::frontend {
namespace {

constexpr int kDisplayNameBytesMax = 4096;
constexpr double kTemperatureMax = 100;
constexpr double kPenaltyMax = 100;

using common::FieldViolations;

// False for NaN too.
bool Within(double value, double low, double high) { return value >= low && value <= high; }

void CheckSampling(const v1::SamplingOptions& sampling, FieldViolations& violations) {
  const auto check = [&](bool good, std::string_view field, std::string_view rule) {
    if (!good) {
      violations.Add(absl::StrCat("options.sampling.", base::ToAbsl(field)), rule);
    }
  };
  check(Within(sampling.temperature(), 0, kTemperatureMax), "temperature", "must be from 0 to 100");
  check(Within(sampling.top_p(), 0, 1), "top_p", "must be from 0 to 1");
  check(sampling.top_k() >= 0, "top_k", "must not be negative");
  check(Within(sampling.min_p(), 0, 1) && sampling.min_p() < 1, "min_p",
        "must be from 0 to below 1");
  check(Within(sampling.repetition_penalty(), 0, kPenaltyMax), "repetition_penalty",
        "must be from 0 to 100");
  check(sampling.max_new_tokens() >= 0 && sampling.max_new_tokens() <= kNewTokensMax,
        "max_new_tokens", "must be from 0 to 1048576");
  check(
      !sampling.has_logprobs() || (sampling.logprobs() >= 0 && sampling.logprobs() <= kLogprobsMax),
      "logprobs", "must be from 0 to 20");
  const auto stops =
      tokenizer::StopMatcher::Create({sampling.stop().begin(), sampling.stop().end()});
  check(stops.ok(), "stop", stops.ok() ? "" : base::ToStd(stops.status().message()));
}

}  // namespace

void CheckRequestId(std::string_view request_id, FieldViolations& violations) {
  if (!request_id.empty() && !IsUuid(request_id)) violations.Add("request_id", "must be a UUID");
}

absl::StatusOr<std::string> RequireSessionId(std::string_view field, std::string_view name) {
  const auto id = ParseName("sessions", name);
  if (!id) return common::InvalidField(field, "must be sessions/{id}");
  return *id;
}

absl::StatusOr<std::string> RequireJobId(std::string_view field, std::string_view name) {
  const auto id = ParseName("jobs", name);
  if (!id) return common::InvalidField(field, "must be jobs/{id}");
  return *id;
}

void CheckDocuments(const google::protobuf::RepeatedPtrField<std::string>& documents,
                    FieldViolations& violations) {
  if (documents.empty()) violations.Add("documents", "at least one is needed");
  if (documents.size() > kDocumentsMax) {
    violations.Add("documents", absl::StrCat("at most ", kDocumentsMax));
    return;
  }
  for (int i = 0; i < documents.size(); ++i) {
    const std::string field = absl::StrCat("documents[", i, "]");
    if (!ParseName("documents", documents[i])) violations.Add(field, "must be documents/{id}");
    for (int j = 0; j < i; ++j) {
      if (documents[j] == documents[i]) violations.Add(field, "is named twice");
    }
  }
}

void CheckText(std::string_view field, std::string_view text, FieldViolations& violations) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    violations.Add(field, "must not be empty");
  } else if (text.size() > static_cast<size_t>(kQuestionBytesMax)) {
    violations.Add(field, absl::StrCat("at most ", kQuestionBytesMax, " bytes"));
  } else if (!tokenizer::IsValidUtf8(text)) {
    violations.Add(field, "must be UTF-8");
  }
}

void CheckOptions(const v1::AnswerOptions& options, FieldViolations& violations) {
  CheckSampling(options.sampling(), violations);
  if (options.evidence() > kEvidenceMax) {
    violations.Add("options.evidence", absl::StrCat("at most ", kEvidenceMax));
  }
}

absl::Status CheckCreateJob(const v1::CreateJobRequest& request) {
  FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  CheckDocuments(request.documents(), violations);
  CheckOptions(request.options(), violations);
  if (request.questions().empty()) violations.Add("questions", "at least one is needed");
  if (request.questions_size() > kQuestionsMax) {
    violations.Add("questions", absl::StrCat("at most ", kQuestionsMax));
    return violations.ToStatus();
  }
  for (int i = 0; i < request.questions_size(); ++i) {
    const std::string field = absl::StrCat("questions[", i, "]");
    CheckText(field + ".text", request.questions(i).text(), violations);
    if (request.questions(i).id().size() > 256) violations.Add(field + ".id", "at most 256 bytes");
  }
  return violations.ToStatus();
}

absl::Status CheckCreateSession(const v1::CreateSessionRequest& request) {
  FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  CheckDocuments(request.documents(), violations);
  if (request.display_name().size() > kDisplayNameBytesMax) {
    violations.Add("display_name", "at most 4096 bytes");
  }
  return violations.ToStatus();
}

absl::Status CheckConverse(const v1::ConverseRequest& request) {
  FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  if (!ParseName("sessions", request.session())) violations.Add("session", "must be sessions/{id}");
  CheckText("message", request.message(), violations);
  CheckOptions(request.options(), violations);
  return violations.ToStatus();
}

absl::Status CheckStartUpload(const v1::StartUploadRequest& request) {
  FieldViolations violations;
  CheckRequestId(request.request_id(), violations);
  if (request.display_name().size() > kDisplayNameBytesMax) {
    violations.Add("display_name", "at most 4096 bytes");
  }
  if (request.mime_type().size() > 256) violations.Add("mime_type", "at most 256 bytes");
  if (request.size() < 0) violations.Add("size", "must not be negative");
  return violations.ToStatus();
}

absl::Status CheckPageSize(int page_size) {
  if (page_size < 0) return common::InvalidField("page_size", "must not be negative");
  return absl::OkStatus();
}

}  // namespace lectern::frontend
