#include "services/frontend/answer_text.h"

#include <utility>

#include "engine/base/status.h"

namespace lectern::frontend {

absl::StatusOr<AnswerText> AnswerText::Create(const tokenizer::Tokenizer& tokenizer,
                                              const std::vector<std::string>& stops) {
  ASSIGN_OR_RETURN(tokenizer::StopMatcher matcher, tokenizer::StopMatcher::Create(stops));
  return AnswerText(tokenizer, std::move(matcher));
}

std::string AnswerText::Push(int32_t id) {
  if (stopped()) return {};
  std::string delta = stops_.Push(detokenizer_.Push(id));
  raw_ += delta;
  return delta;
}

std::string AnswerText::Finish() {
  if (stopped()) return {};
  std::string delta = stops_.Push(detokenizer_.Finish());
  if (!stopped()) delta += stops_.Finish();
  raw_ += delta;
  return delta;
}

}  // namespace lectern::frontend
