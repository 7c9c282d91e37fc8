#pragma once
// Text from tokens as they come, a token at a time.

#include <cstdint>
#include <string>

#include "engine/tokenizer/tokenizer.h"

namespace lectern::tokenizer {

// Never gives out part of a character: bytes of an unfinished one (at most three) wait for the
// rest. All deltas and Finish() together equal Tokenizer::Decode of the same ids. A value: copies
// carry the state on independently. Not thread safe; the tokenizer must outlive it.
class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(&tokenizer), skip_special_(skip_special) {}

  // The text that `id` completes, possibly none. Ids that name no token give none.
  std::string Push(int32_t id);

  // What is left of an unfinished character, as U+FFFD; the state is then as new.
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string pending_;  // bytes of a character that is not finished
};

}  // namespace lectern::tokenizer
