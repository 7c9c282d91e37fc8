#pragma once
// A tokenizer whose tokens are bytes, with the frame of the default model's prompts: token id =
// byte, so that tests can write answers as strings.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace lectern::testing {

// Highest id plus one: 256 bytes, "¶" as a merge, and six frame tokens.
inline constexpr int kByteVocabulary = 263;

std::string ByteTokenizerJson();
std::unique_ptr<const tokenizer::Tokenizer> ByteTokenizer();
// What goes beside it: {"prompt_format": "lectern-small-v1", ...}. reliable_context 0: not stated.
std::string ByteModelCard(int64_t reliable_context);
// The tokens of a text.
std::vector<int32_t> Bytes(std::string_view text);

}  // namespace lectern::testing
