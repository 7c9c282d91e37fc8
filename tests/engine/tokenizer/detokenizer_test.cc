#include "engine/tokenizer/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/tokenizer/utf8.h"
#include "tests/engine/tokenizer/test_tokenizers.h"

namespace lectern::tokenizer {
namespace {

TEST(DetokenizerTest, HoldsBytesBackUntilTheCharacterIsWhole) {
  const auto tokenizer = LecternSmallTokenizer();  // every byte is a token
  Detokenizer detokenizer(*tokenizer);
  EXPECT_EQ(detokenizer.Push(0xF0), "");
  EXPECT_EQ(detokenizer.Push(0x9F), "");
  EXPECT_EQ(detokenizer.Push(0x98), "");
  EXPECT_EQ(detokenizer.Push(0x80), "\U0001F600");
  EXPECT_EQ(detokenizer.Push('a'), "a");
  EXPECT_EQ(detokenizer.Finish(), "");
}

TEST(DetokenizerTest, TruncatedCharacterBecomesOneReplacement) {
  const auto tokenizer = LecternSmallTokenizer();
  Detokenizer detokenizer(*tokenizer);
  EXPECT_EQ(detokenizer.Push(0xE2), "");
  EXPECT_EQ(detokenizer.Push(0x82), "");
  EXPECT_EQ(detokenizer.Finish(), "\uFFFD");
  EXPECT_EQ(detokenizer.Push('a'), "a");  // as new
}

TEST(DetokenizerTest, BrokenBytesDoNotHoldUpWhatFollows) {
  const auto tokenizer = LecternSmallTokenizer();
  Detokenizer detokenizer(*tokenizer);
  EXPECT_EQ(detokenizer.Push(0xC3), "");
  EXPECT_EQ(detokenizer.Push('a'),
            "\uFFFD"
            "a");
  EXPECT_EQ(detokenizer.Push(0x80), "\uFFFD");
  EXPECT_EQ(detokenizer.Push(0xFF), "\uFFFD");
}

TEST(DetokenizerTest, CopiesGoOnIndependently) {
  const auto tokenizer = LecternSmallTokenizer();
  Detokenizer first(*tokenizer);
  first.Push(0xC3);
  Detokenizer second = first;
  EXPECT_EQ(first.Push(0xA9), "é");
  EXPECT_EQ(second.Push(0xB8), "ø");
}

// "ö" ends in byte 0xB6, whose letter in the byte alphabet is "¶": one id for both.
TEST(DetokenizerTest, SharedIdIsAByteInsideACharacterAndTheMarkerElsewhere) {
  const auto tokenizer = SharedMarkerTokenizer();
  const int32_t marker = *tokenizer->SpecialId("¶");
  ASSERT_EQ(marker, 0xB6);
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{0xC3, marker, marker, '1'}, false), "ö¶1");
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{0xC3, marker, marker, '1'}, true), "ö1");
  EXPECT_EQ(tokenizer->ByteOffsets(std::vector<int32_t>{0xC3, marker, marker, '1'}),
            (std::vector<int64_t>{0, 1, 2, 4, 5}));
  for (const char* text : {"¶", "schön ¶ ö", "öö¶¶"}) {
    EXPECT_EQ(tokenizer->Decode(*tokenizer->EncodePlain(text), false), text);
    EXPECT_EQ(tokenizer->Decode(*tokenizer->Encode(text, false), false), text);
  }
}

TEST(DetokenizerTest, UnknownIdsGiveNothing) {
  const auto tokenizer = LecternSmallTokenizer();
  Detokenizer detokenizer(*tokenizer);
  EXPECT_EQ(detokenizer.Push(-1), "");
  EXPECT_EQ(detokenizer.Push(tokenizer->vocab_size()), "");
  EXPECT_EQ(detokenizer.Push(2'000'000'000), "");
}

TEST(DetokenizerTest, RandomTextsComeBackInWholeCharacters) {
  const auto glm = LoadConformanceTokenizer("glm");
  SKIP_WITHOUT(glm, "glm");
  const std::vector<std::string> pieces = {"a",
                                           " the",
                                           "é",
                                           "ö",
                                           "¶",
                                           "日本",
                                           "\U0001F468\u200D\U0001F469\u200D\U0001F467",
                                           "\U0001F1E9\U0001F1EA",
                                           "e\u0301",
                                           "\n\n",
                                           "\U00010348",
                                           "ﷺ",
                                           "क्षि",
                                           "\u00A0",
                                           "<|user|>"};
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (auto i = random() % 30; i > 0; --i) text += pieces[random() % pieces.size()];
    const auto ids = glm->EncodePlain(text);
    ASSERT_TRUE(ids.ok()) << ids.status();
    Detokenizer detokenizer(*glm);
    std::string streamed;
    for (const int32_t id : *ids) {
      const std::string delta = detokenizer.Push(id);
      ASSERT_TRUE(IsValidUtf8(delta));
      ASSERT_EQ(delta.find("\uFFFD"), std::string::npos);
      streamed += delta;
    }
    ASSERT_EQ(streamed + detokenizer.Finish(), text);
  }
}

TEST(DetokenizerTest, RandomIdsStreamAsTheyDecode) {
  const auto deepseek = LoadConformanceTokenizer("deepseek");
  SKIP_WITHOUT(deepseek, "deepseek");
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    std::vector<int32_t> ids(random() % 40);
    // Mostly the single bytes, where characters break.
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % (random() % 4 == 0 ? 1710 : 260));
    const bool skip = random() % 2 == 0;
    Detokenizer detokenizer(*deepseek, skip);
    std::string streamed;
    for (const int32_t id : ids) {
      const std::string delta = detokenizer.Push(id);
      ASSERT_TRUE(IsValidUtf8(delta));
      streamed += delta;
    }
    ASSERT_EQ(streamed + detokenizer.Finish(), deepseek->Decode(ids, skip));
  }
}

}  // namespace
}  // namespace lectern::tokenizer
