#include "engine/tokenizer/utf8.h"

#include <gtest/gtest.h>

#include "engine/tokenizer/byte_alphabet.h"

namespace lectern::tokenizer {
namespace {

std::string Lossy(std::string_view bytes) {
  std::string out;
  AppendLossyUtf8(bytes, out);
  return out;
}

// Unicode standard, section 3.9, tables 3-8 to 3-11: one replacement for each maximal subpart.
TEST(Utf8Test, ReplacesMaximalSubparts) {
  EXPECT_EQ(Lossy("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            std::string("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
                        "A"));
  EXPECT_EQ(Lossy("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"),
            std::string("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
                        "A"));
  EXPECT_EQ(Lossy("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            std::string("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
                        "A\uFFFD\uFFFD"
                        "B"));
  EXPECT_EQ(Lossy("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), std::string("\uFFFD\uFFFD\uFFFD\uFFFD"
                                                                       "A"));
  EXPECT_EQ(Lossy("\xE1\x80"), "\uFFFD");
}

TEST(Utf8Test, FindsAnUnfinishedEnd) {
  const std::string text = "a\U0001F600";
  EXPECT_EQ(IncompleteUtf8Tail(text), 0U);
  EXPECT_EQ(IncompleteUtf8Tail(text.substr(0, 4)), 3U);
  EXPECT_EQ(IncompleteUtf8Tail(text.substr(0, 2)), 1U);
  EXPECT_EQ(IncompleteUtf8Tail("\x80\x80"), 0U);
  EXPECT_EQ(IncompleteUtf8Tail("\xE0\x80"), 0U);  // never to be mended
  EXPECT_EQ(IncompleteUtf8Tail(""), 0U);
}

TEST(Utf8Test, EveryCodePointDecodesToItself) {
  for (uint32_t code = 0x80; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    if (code < 0x800) {
      text = {static_cast<char>(0xC0 | code >> 6)};
    } else if (code < 0x10000) {
      text = {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F))};
    } else {
      text = {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 0x3F)),
              static_cast<char>(0x80 | (code >> 6 & 0x3F))};
    }
    text += static_cast<char>(0x80 | (code & 0x3F));
    const Utf8Step step = DecodeUtf8(text);
    ASSERT_EQ(step.kind, Utf8Kind::kCharacter) << code;
    ASSERT_EQ(step.code_point, code);
    ASSERT_EQ(step.length, text.size());
  }
}

TEST(ByteAlphabetTest, EveryByteComesBack) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto bytes = BytesOfAlphabet(AlphabetCharacter(static_cast<uint8_t>(byte)));
    EXPECT_EQ(bytes, std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(AlphabetCharacter(' '), "Ġ");
  EXPECT_EQ(AlphabetCharacter('\n'), "Ċ");
  EXPECT_EQ(BytesOfAlphabet("<｜User｜>"), std::nullopt);
  EXPECT_EQ(BytesOfAlphabet(" "), std::nullopt);
}

}  // namespace
}  // namespace lectern::tokenizer
