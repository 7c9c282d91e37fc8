#pragma once
// Questions as a user gives them: one on the command line, or a file with one JSON object a line.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace lectern::cli {

struct GivenQuestion {
  nlohmann::ordered_json id;  // as given, a string or a number
  std::string text;
};

// Lines {"id": ..., "question": "..."}; blank lines are skipped; a line without id is called by its
// number. Other fields are ignored. InvalidArgument: names `path` and the line.
absl::StatusOr<std::vector<GivenQuestion>> ParseQuestions(std::string_view text,
                                                          std::string_view path);

// The words of `lectern ask`: FILE... QUESTION, or FILE... with --questions.
struct AskInput {
  std::vector<std::string> files;
  std::vector<GivenQuestion> questions;
};
// InvalidArgument: no file or no question; the questions file's error. "-" reads standard input.
absl::StatusOr<AskInput> ReadAskInput(const std::vector<std::string>& positionals,
                                      const std::string& questions_path);

}  // namespace lectern::cli
