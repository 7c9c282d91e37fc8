// The fuzz target's own function over a few seeds and random bytes, so that it cannot rot.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "tests/engine/tokenizer/test_tokenizers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lectern::tokenizer {
namespace {

void TryInput(const std::string& input) {
  EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size()),
            0);
}

TEST(TokenizerFuzzTest, SeedsHold) {
  TryInput("");
  TryInput("{}");
  TryInput("It's plain text, with <|user|> and ¶12.");
  using std::string_literals::operator""s;
  TryInput("\xF0\x9F\x98 broken \xFF\x00 text"s);  // a NUL among them
  TryInput(SmallTokenizerJson({{"a", "b"}}, {"<|user|>", "¶"}).dump());
}

TEST(TokenizerFuzzTest, RandomBytesHold) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string json = SmallTokenizerJson({{"a", "b"}}, {"<|user|>"}).dump();
  for (int round = 0; round < 60; ++round) {
    std::string bytes(random() % 300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    TryInput(bytes);
    std::string damaged = json;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    TryInput(damaged);
  }
}

}  // namespace
}  // namespace lectern::tokenizer
