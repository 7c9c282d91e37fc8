#pragma once
// Tokens outside the byte-pair vocabulary's merges ("<|user|>", "<think>"): found in the text
// before anything else happens to it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/split_regex.h"

namespace lectern::tokenizer {

struct AddedToken {
  int32_t id = 0;
  std::string content;       // UTF-8, not empty
  bool special = false;      // left out by Decode with skip_special
  bool single_word = false;  // not beside a word character
  bool lstrip = false;       // takes white space on its left along
  bool rstrip = false;
  bool normalized = true;  // looked for after normalisation, that is after the others
};

// A part of a text: an added token, or the text between two of them.
struct TextSegment {
  std::optional<int32_t> added_id;
  std::string_view text;
};

// Leftmost, then longest match over a set of added tokens. Immutable; thread safe.
class AddedTokenMatcher {
 public:
  // Memory is some 40 bytes for each byte of content; the caller bounds that.
  explicit AddedTokenMatcher(const std::vector<AddedToken>& tokens);

  // Cuts `text` into segments, in order, none empty. Source of the rules for single_word and
  // stripping: tokenizers/src/tokenizer/added_vocabulary.rs, find_matches.
  std::vector<TextSegment> Split(std::string_view text) const;

  bool empty() const { return tokens_.empty(); }

 private:
  struct Node {
    std::vector<std::pair<uint8_t, uint32_t>> children;
    int32_t token = -1;  // index into tokens_
  };

  void Insert(std::string_view content, int32_t token);
  // The longest token that `text` begins with; -1 if there is none.
  int32_t LongestAtStart(std::string_view text) const;
  bool StandsAlone(std::string_view text, size_t begin, size_t end) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::vector<bool> first_bytes_;  // [256]
  SplitRegex word_at_start_;
};

}  // namespace lectern::tokenizer
