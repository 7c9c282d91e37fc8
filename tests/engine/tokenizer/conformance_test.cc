// Every string of the conformance set: ids, ids with special tokens, text with and without them.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/tokenizer/detokenizer.h"
#include "tests/engine/tokenizer/test_tokenizers.h"

namespace lectern::tokenizer {
namespace {

struct Family {
  const char* name;
  int num_cases;  // of the whole set: a truncated file must not pass unseen
};

class ConformanceTest : public testing::TestWithParam<Family> {};

std::string StreamedText(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  Detokenizer detokenizer(tokenizer, skip);
  std::string text;
  for (const int32_t id : ids) text += detokenizer.Push(id);
  return text + detokenizer.Finish();
}

void CheckCase(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  const std::string text = expected["text"];
  const std::vector<int32_t> ids = expected["ids"];
  const auto plain = tokenizer.Encode(text, false);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(*plain, ids);
  const auto with_special = tokenizer.Encode(text, true);
  ASSERT_TRUE(with_special.ok()) << with_special.status();
  EXPECT_EQ(*with_special, expected["ids_with_special"].get<std::vector<int32_t>>());
  EXPECT_EQ(tokenizer.Decode(ids, false), expected["decoded"].get<std::string>());
  EXPECT_EQ(tokenizer.Decode(ids, true), expected["decoded_skip_special"].get<std::string>());
  EXPECT_EQ(StreamedText(tokenizer, ids, false), expected["decoded"].get<std::string>());
  EXPECT_EQ(StreamedText(tokenizer, ids, true),
            expected["decoded_skip_special"].get<std::string>());
  // Plain encoding has no special ids, and its bytes are the text's.
  const auto untrusted = tokenizer.EncodePlain(text);
  ASSERT_TRUE(untrusted.ok()) << untrusted.status();
  for (const int32_t id : *untrusted) EXPECT_FALSE(tokenizer.IsSpecial(id)) << id;
  EXPECT_EQ(tokenizer.Decode(*untrusted, true), text);
}

TEST_P(ConformanceTest, EveryStringIsEqual) {
  const std::string family = GetParam().name;
  const std::string path = ConformanceTokenizerPath(family + ".cases.jsonl");
  std::ifstream cases(path);
  if (!cases) GTEST_SKIP() << "absent: " << path;
  const auto tokenizer = LoadConformanceTokenizer(family);
  ASSERT_NE(tokenizer, nullptr);
  int count = 0;
  for (std::string line; std::getline(cases, line); ++count) {
    SCOPED_TRACE(line.substr(0, 200));
    CheckCase(*tokenizer, nlohmann::json::parse(line));
  }
  EXPECT_EQ(count, GetParam().num_cases);
}

INSTANTIATE_TEST_SUITE_P(Families, ConformanceTest,
                         testing::Values(Family{"glm", 397}, Family{"deepseek", 398}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace lectern::tokenizer
