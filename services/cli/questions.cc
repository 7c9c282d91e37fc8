#include "services/cli/questions.h"

#include <iostream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/cli/source_file.h"

namespace lectern::cli {
namespace {

absl::Status BadLine(std::string_view path, int line, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(base::ToAbsl(path), ":", line, ": ", base::ToAbsl(what)));
}

absl::StatusOr<GivenQuestion> ParseLine(std::string_view line, std::string_view path, int number) {
  const auto json = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return BadLine(path, number, "not a JSON object");
  const auto question = json.find("question");
  if (question == json.end() || !question->is_string()) {
    return BadLine(path, number, "no string \"question\"");
  }
  GivenQuestion given{.id = std::to_string(number), .text = question->get<std::string>()};
  if (const auto id = json.find("id"); id != json.end() && !id->is_null()) {
    if (!id->is_string() && !id->is_number()) {
      return BadLine(path, number, "\"id\" is neither a string nor a number");
    }
    given.id = *id;
  }
  return given;
}

}  // namespace

absl::StatusOr<std::vector<GivenQuestion>> ParseQuestions(std::string_view text,
                                                          std::string_view path) {
  std::vector<GivenQuestion> questions;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    ASSIGN_OR_RETURN(GivenQuestion question, ParseLine(line, path, number));
    questions.push_back(std::move(question));
  }
  if (questions.empty())
    return absl::InvalidArgumentError(absl::StrCat(base::ToAbsl(path), ": no question"));
  return questions;
}

absl::StatusOr<AskInput> ReadAskInput(const std::vector<std::string>& positionals,
                                      const std::string& questions_path) {
  AskInput input{.files = positionals, .questions = {}};
  if (questions_path.empty()) {
    if (positionals.size() < 2) {
      return absl::InvalidArgumentError(
          "expected FILE... QUESTION, or FILE... --questions Q.jsonl");
    }
    input.questions = {{.id = "1", .text = positionals.back()}};
    input.files.pop_back();
    return input;
  }
  if (positionals.empty())
    return absl::InvalidArgumentError("expected FILE... --questions Q.jsonl");
  std::string text;
  if (questions_path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  } else {
    ASSIGN_OR_RETURN(text, ReadFile(questions_path));
  }
  ASSIGN_OR_RETURN(input.questions, ParseQuestions(text, questions_path));
  return input;
}

}  // namespace lectern::cli
