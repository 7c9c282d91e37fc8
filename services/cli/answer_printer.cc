#include "services/cli/answer_printer.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/cli/answer_view.h"
#include "services/common/error_details.h"

namespace lectern::cli {

AnswerPrinter::AnswerPrinter(AnswerFormat format, std::vector<GivenQuestion> questions,
                             GivenDocuments documents)
    : format_(format),
      questions_(std::move(questions)),
      documents_(std::move(documents)),
      states_(questions_.size()),
      progress_("reading", /*enabled=*/true) {}

void AnswerPrinter::OnEvent(const v1::AnswerEvent& event) {
  const auto index = static_cast<size_t>(event.question_index());
  if (event.question_index() < 0 || index >= states_.size()) return;
  State& state = states_[index];
  switch (event.event_case()) {
    case v1::AnswerEvent::kProgress:
      if (index == current_ && !state.begun) {
        progress_.Update(event.progress().prompt_tokens_done(),
                         event.progress().prompt_tokens_total(), "tokens");
      }
      break;
    case v1::AnswerEvent::kTextDelta: {
      const std::string text = state.reader.Push(event.text_delta().text());
      if (index == current_) {
        Begin(index);
        Print(state, text);
      } else {
        state.waiting += text;
      }
      break;
    }
    case v1::AnswerEvent::kFinished:
      state.finished = true;
      state.answer = event.finished();
      state.waiting += state.reader.Finish();
      Advance();
      break;
    default:
      break;
  }
}

void AnswerPrinter::Print(State&, std::string_view text) {
  if (format_ == AnswerFormat::kText && !text.empty()) PrintText(text);
}

void AnswerPrinter::Begin(size_t index) {
  State& state = states_[index];
  if (state.begun) return;
  state.begun = true;
  progress_.Clear();
  if (format_ == AnswerFormat::kJson) return;
  if (questions_.size() > 1) PrintText(absl::StrCat("? ", questions_[index].text, "\n"));
  Print(state, std::exchange(state.waiting, ""));
}

void AnswerPrinter::FinishCurrent() {
  State& state = states_[current_];
  Begin(current_);
  Print(state, std::exchange(state.waiting, ""));
  const v1::Answer& answer = state.answer;
  const bool error =
      answer.finish_reason() == v1::FINISH_REASON_ERROR || answer.error().code() != 0;
  if (error || answer.finish_reason() == v1::FINISH_REASON_CANCELLED) ++failed_;
  if (format_ == AnswerFormat::kJson) {
    PrintJson(AnswerJson(questions_[current_].id, answer, documents_));
  } else if (error) {
    const absl::Status status = common::FromRpcStatus(answer.error());
    std::fprintf(stderr, "lectern: question %s: %s\n", questions_[current_].id.dump().c_str(),
                 std::string(status.message()).c_str());
  } else {
    PrintText("\n" + AnswerTrailer(answer, documents_) + (questions_.size() > 1 ? "\n" : ""));
  }
}

void AnswerPrinter::Advance() {
  while (current_ < states_.size() && states_[current_].finished) {
    FinishCurrent();
    ++current_;
  }
  if (current_ < states_.size() && !states_[current_].waiting.empty()) Begin(current_);
}

void AnswerPrinter::FailRest(const absl::Status& status) {
  progress_.Clear();
  for (size_t i = current_; i < states_.size(); ++i) {
    if (states_[i].finished) continue;
    states_[i].finished = true;
    *states_[i].answer.mutable_error() = common::ToRpcStatus(status);
    states_[i].answer.set_finish_reason(v1::FINISH_REASON_ERROR);
  }
  Advance();
}

}  // namespace lectern::cli
