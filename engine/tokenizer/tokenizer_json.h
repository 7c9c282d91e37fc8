#pragma once
// Reads a Hugging Face tokenizer.json (version 1.0 of the `tokenizers` library) into plain structs.
// What is read: model BPE over the byte alphabet, added_tokens, a normalizer that does nothing,
// pre_tokenizer of Split (Isolated, Removed) and a final ByteLevel, post_processor
// TemplateProcessing and ByteLevel, decoder ByteLevel. `truncation` and `padding` are settings of a
// caller and are not read. Everything else that would change the tokens is refused by name.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/pre_tokenizer.h"

namespace lectern::tokenizer {

// The largest file and id accepted; both well above any published vocabulary (33 MiB, 262,144 ids).
inline constexpr size_t kMaxTokenizerJsonBytes = size_t{64} << 20;
inline constexpr int64_t kMaxTokenId = (int64_t{1} << 20) - 1;

struct TokenizerSpec {
  BpeSpec bpe;
  std::vector<AddedToken> added_tokens;  // ids unique, contents unique
  PreTokenizerSpec pre_tokenizer;
  std::vector<int32_t> prefix_ids;  // what the post-processor puts before and after a text
  std::vector<int32_t> suffix_ids;
  int32_t vocab_size = 0;  // highest id of vocabulary and added tokens, plus one
};

// InvalidArgument: no JSON, a missing, mistyped or contradictory field; Unimplemented: a feature
// that is not supported. Messages begin with `name` and the field. Memory is bounded by a small
// multiple of the file's size; nesting beyond 64 is refused before parsing.
absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view json, std::string_view name);

}  // namespace lectern::tokenizer
