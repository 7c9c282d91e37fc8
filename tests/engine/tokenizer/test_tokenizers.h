#pragma once
// Tokenizers for the tests: the two of the conformance set, and small ones written on the spot.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace lectern::tokenizer {

inline constexpr char kGlmSplit[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// $LECTERN_CONFORMANCE_DIR/tokenizers/NAME, or the copy in the source tree.
std::string ConformanceTokenizerPath(const std::string& name);

// "glm" or "deepseek"; null where the file is absent (the test then skips and says so).
std::unique_ptr<const Tokenizer> LoadConformanceTokenizer(const std::string& family);

// tokenizer.json with the byte alphabet as ids 0 to 255, then the results of `merges` (pairs of
// names in the alphabet), then `added` (special), where an added token that the vocabulary has
// keeps its id.
nlohmann::json SmallTokenizerJson(const std::vector<std::pair<std::string, std::string>>& merges,
                                  const std::vector<std::string>& added);

// Fails the test and returns null if the file is refused.
std::unique_ptr<const Tokenizer> LoadJson(const nlohmann::json& json);

// The default model's kind: its added tokens; "¶" is an ordinary token of two bytes.
std::unique_ptr<const Tokenizer> LecternSmallTokenizer();

// The same with "¶" as an added token, which then shares its id with byte 0xB6.
std::unique_ptr<const Tokenizer> SharedMarkerTokenizer();

}  // namespace lectern::tokenizer

// For the tests that need a file of the conformance set.
#define SKIP_WITHOUT(tokenizer, family) \
  if ((tokenizer) == nullptr)           \
  GTEST_SKIP() << "absent: " << ConformanceTokenizerPath(family ".tokenizer.json")
