#pragma once
// Prints the answers of a job in the order of its questions, whatever the order in which they are
// written: the first unfinished question streams, later ones wait.

#include <string>
#include <vector>

#include "engine/tokenizer/answer.h"
#include "lectern/v1/resources.pb.h"
#include "services/cli/questions.h"
#include "services/cli/source_file.h"
#include "services/cli/terminal.h"

namespace lectern::cli {

enum class AnswerFormat { kText, kJson };

// Not thread safe.
class AnswerPrinter {
 public:
  AnswerPrinter(AnswerFormat format, std::vector<GivenQuestion> questions,
                GivenDocuments documents);

  // Events of any order of questions. Those of questions that are not this printer's are ignored.
  void OnEvent(const v1::AnswerEvent& event);
  // Every question that has not been printed gets this error.
  void FailRest(const absl::Status& status);
  int failed() const { return failed_; }

 private:
  struct State {
    tokenizer::AnswerParser reader{tokenizer::AnswerStyle::kMarkedSentences, ""};
    std::string waiting;  // text that came before its turn
    bool begun = false;
    bool finished = false;
    v1::Answer answer;
  };

  void Print(State& state, std::string_view text);
  void Begin(size_t index);
  void FinishCurrent();
  void Advance();

  AnswerFormat format_;
  std::vector<GivenQuestion> questions_;
  GivenDocuments documents_;
  std::vector<State> states_;
  size_t current_ = 0;
  int failed_ = 0;
  Progress progress_;
};

}  // namespace lectern::cli
