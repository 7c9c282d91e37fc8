#pragma once
// The text of an answer as its tokens come: detokenised in whole characters, ended by stop strings.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tokenizer/chat.h"
#include "engine/tokenizer/detokenizer.h"
#include "engine/tokenizer/stop_matcher.h"

namespace lectern::frontend {

// A value without hidden state: the same tokens give the same deltas, which is what resuming stands
// on. Not thread safe.
class AnswerText {
 public:
  static absl::StatusOr<AnswerText> Create(const tokenizer::Tokenizer& tokenizer,
                                           const std::vector<std::string>& stops);

  // The raw text that `id` makes certain, possibly none. After a stop string nothing comes any
  // more.
  std::string Push(int32_t id);
  // What was held back; the answer ends here.
  std::string Finish();

  bool stopped() const { return stops_.stopped(); }
  const std::string& raw() const { return raw_; }

 private:
  AnswerText(const tokenizer::Tokenizer& tokenizer, tokenizer::StopMatcher stops)
      // Special tokens are shown: a marker may be one, and the raw text is what the model wrote.
      : detokenizer_(tokenizer, /*skip_special=*/false), stops_(std::move(stops)) {}

  tokenizer::Detokenizer detokenizer_;
  tokenizer::StopMatcher stops_;
  std::string raw_;
};

}  // namespace lectern::frontend
