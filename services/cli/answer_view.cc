#include "services/cli/answer_view.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "engine/base/status.h"
#include "services/cli/terminal.h"
#include "services/common/error_details.h"

namespace lectern::cli {
namespace {

using nlohmann::ordered_json;

std::string EnumText(const std::string& name, const char* prefix) {
  std::string text = name;
  if (text.starts_with(prefix)) text.erase(0, std::string(prefix).size());
  absl::AsciiStrToLower(&text);
  return text;
}

ordered_json PassagePlace(const v1::Passage& passage, const GivenDocuments& documents) {
  ordered_json place;
  place["document"] = documents.Label(passage.document());
  place["page"] = passage.page() > 0 ? ordered_json(passage.page()) : ordered_json(nullptr);
  place["byte_begin"] = passage.byte_begin();
  place["byte_end"] = passage.byte_end();
  return place;
}

std::string PlaceText(const v1::Passage& passage, const GivenDocuments& documents) {
  std::string text = documents.Label(passage.document());
  if (passage.page() > 0) absl::StrAppend(&text, ", page ", passage.page());
  absl::StrAppend(&text, ", bytes ", passage.byte_begin(), "-", passage.byte_end());
  return text;
}

// Passages keep their line breaks in JSON; on a terminal one line reads better.
std::string OneLine(const std::string& text) {
  std::string line =
      absl::StrReplaceAll(text, {{"\r", " "}, {"\n", " "}, {"\f", " "}, {"\t", " "}});
  absl::RemoveExtraAsciiWhitespace(&line);
  return line;
}

}  // namespace

ordered_json AnswerJson(const ordered_json& id, const v1::Answer& answer,
                        const GivenDocuments& documents) {
  if (answer.finish_reason() == v1::FINISH_REASON_ERROR || answer.error().code() != 0) {
    return ErrorJson(id, common::FromRpcStatus(answer.error()));
  }
  ordered_json json;
  json["id"] = id;
  json["question"] = answer.question();
  json["answer"] = answer.text();
  json["answered"] = answer.answered();
  json["scope"] = ScopeText(answer.scope());
  json["citations"] = ordered_json::array();
  for (const v1::Passage& citation : answer.citations()) {
    ordered_json& entry = json["citations"].emplace_back(PassagePlace(citation, documents));
    entry["quote"] = citation.text();
  }
  json["evidence"] = ordered_json::array();
  for (const v1::Passage& passage : answer.evidence()) {
    ordered_json& entry = json["evidence"].emplace_back(PassagePlace(passage, documents));
    entry["score"] = passage.score();
    entry["text"] = passage.text();
  }
  const v1::Usage& usage = answer.usage();
  json["usage"]["prompt_tokens"] = usage.prompt_tokens();
  json["usage"]["cached_tokens"] = {{"device", usage.cached_tokens_device()},
                                    {"host", usage.cached_tokens_host()},
                                    {"disk", usage.cached_tokens_disk()},
                                    {"remote", usage.cached_tokens_remote()}};
  json["usage"]["generated_tokens"] = usage.generated_tokens();
  json["ttft_s"] = usage.ttft_seconds();
  json["finish_reason"] = FinishText(answer.finish_reason());
  return json;
}

ordered_json ErrorJson(const ordered_json& id, std::string_view code, std::string_view message) {
  ordered_json json;
  json["id"] = id;
  json["error"] = {{"code", std::string(code)}, {"message", std::string(message)}};
  return json;
}

ordered_json ErrorJson(const ordered_json& id, const absl::Status& status) {
  return ErrorJson(id, common::CodeName(status.code()), base::ToStd(status.message()));
}

std::string AnswerTrailer(const v1::Answer& answer, const GivenDocuments& documents) {
  std::string text;
  if (answer.scope() == v1::SCOPE_EXCERPT) {
    absl::StrAppend(&text,
                    "  (answered from chosen passages: the documents are longer than the model "
                    "reads reliably)\n");
  }
  if (answer.finish_reason() == v1::FINISH_REASON_CANCELLED) return text + "  (cancelled)\n";
  if (!answer.answered()) absl::StrAppend(&text, "  (not stated in the documents)\n");
  if (answer.answered() && answer.citations().empty()) {
    absl::StrAppend(&text, "  (no such sentence stands in the documents: do not rely on it)\n");
  }
  for (const v1::Passage& citation : answer.citations()) {
    absl::StrAppend(&text, "  quote    ", PlaceText(citation, documents), "\n           \"",
                    OneLine(citation.text()), "\"\n");
  }
  for (const v1::Passage& passage : answer.evidence()) {
    absl::StrAppend(&text, "  evidence ", PlaceText(passage, documents),
                    absl::StrFormat(", %.1f times chance", passage.score()), "\n           ",
                    OneLine(passage.text()), "\n");
  }
  const v1::Usage& usage = answer.usage();
  const int64_t cached = usage.cached_tokens_device() + usage.cached_tokens_host() +
                         usage.cached_tokens_disk() + usage.cached_tokens_remote();
  absl::StrAppend(&text, "  first token after ", SecondsText(usage.ttft_seconds()), "; ",
                  usage.prompt_tokens(), " prompt tokens, ", cached, " of them from cache",
                  usage.cached_tokens_disk() > 0
                      ? absl::StrCat(" (", usage.cached_tokens_disk(), " from disk)")
                      : std::string(),
                  "; ", usage.generated_tokens(), " generated\n");
  return text;
}

ordered_json ProtoJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return nullptr;
  return ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::string ScopeText(v1::Scope scope) { return scope == v1::SCOPE_EXCERPT ? "excerpt" : "whole"; }
std::string FinishText(v1::FinishReason reason) {
  return EnumText(v1::FinishReason_Name(reason), "FINISH_REASON_");
}
std::string StateText(v1::JobState state) {
  return EnumText(v1::JobState_Name(state), "JOB_STATE_");
}

}  // namespace lectern::cli
