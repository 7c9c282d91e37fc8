#include "engine/tokenizer/detokenizer.h"

#include <string_view>
#include <utility>

#include "engine/tokenizer/utf8.h"

namespace lectern::tokenizer {

std::string Detokenizer::Push(int32_t id) {
  tokenizer_->AppendTokenBytes(id, skip_special_, pending_);
  const size_t complete = pending_.size() - IncompleteUtf8Tail(pending_);
  std::string text;
  AppendLossyUtf8(std::string_view(pending_).substr(0, complete), text);
  pending_.erase(0, complete);
  return text;
}

std::string Detokenizer::Finish() {
  std::string text;
  AppendLossyUtf8(std::exchange(pending_, {}), text);
  return text;
}

}  // namespace lectern::tokenizer
