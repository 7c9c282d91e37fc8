#pragma once
// Answers as a client shows them: the JSON object of `ask --json`, and text for people.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lectern/v1/resources.pb.h"
#include "nlohmann/json.hpp"
#include "services/cli/source_file.h"

namespace lectern::cli {

// One line of `lectern ask --json`: id, question, answer, answered, scope, citations, evidence,
// usage, ttft_s, finish_reason; or {id, error{code, message}} for a failed question. `id` is what
// the user called the question. Documents are called as they were given; page is null where the
// document has none.
nlohmann::ordered_json AnswerJson(const nlohmann::ordered_json& id, const v1::Answer& answer,
                                  const GivenDocuments& documents);
nlohmann::ordered_json ErrorJson(const nlohmann::ordered_json& id, std::string_view code,
                                 std::string_view message);
nlohmann::ordered_json ErrorJson(const nlohmann::ordered_json& id, const absl::Status& status);

// What follows the streamed text of an answer: its citations with page and quote, the evidence
// passages, one line of usage.
std::string AnswerTrailer(const v1::Answer& answer, const GivenDocuments& documents);

// Any resource or event as JSON with proto field names, for commands without a contract of their
// own.
nlohmann::ordered_json ProtoJson(const google::protobuf::Message& message);

// "whole", "stop", "succeeded": the enum's name without its prefix, in lower case.
std::string ScopeText(v1::Scope scope);
std::string FinishText(v1::FinishReason reason);
std::string StateText(v1::JobState state);

}  // namespace lectern::cli
