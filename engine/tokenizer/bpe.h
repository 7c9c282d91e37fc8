#pragma once
// Byte-pair encoding of one word (a piece left by the pre-tokenizer), as the Hugging Face
// `tokenizers` library does it: again and again the pair of lowest rank is merged, the leftmost
// first.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lectern::tokenizer {

// `left` followed by `right` becomes `result`; the position in the list is the rank.
struct MergeRule {
  int32_t left = 0;
  int32_t right = 0;
  int32_t result = 0;
};

struct BpeSpec {
  // By id; empty where the id names no byte string (gaps, special tokens).
  std::vector<std::string> token_bytes;
  // [256] id of each single byte, -1 where the vocabulary lacks it.
  std::array<int32_t, 256> byte_ids{};
  std::vector<MergeRule> merges;  // ids >= 0; a pair given twice has its last rank
  // A word that is itself in the vocabulary is taken whole, without merging.
  bool ignore_merges = false;
  // Ids that this must not apply to: special tokens, which plain text could otherwise spell.
  std::vector<int32_t> never_whole;
  // Stands for a byte without a token; without it such bytes vanish, as in the original.
  std::optional<int32_t> unknown_id;
  bool fuse_unknown = false;  // a run of such bytes gives one token
};

// Immutable; thread safe.
class Bpe {
 public:
  explicit Bpe(const BpeSpec& spec);
  ~Bpe();
  Bpe(Bpe&&) noexcept;
  Bpe& operator=(Bpe&&) noexcept;

  // Appends the tokens of `word` to `ids`. Any bytes are allowed. O(n log n) for long words.
  void EncodeWord(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lectern::tokenizer
