#include "engine/tokenizer/answer.h"

#include <gtest/gtest.h>

#include <random>

namespace lectern::tokenizer {
namespace {

constexpr char kNotStated[] = "Not stated in the document.";

struct Expected {
  std::string text;
  bool answered;
  std::vector<std::pair<std::vector<int>, std::string>> quotes;
};

struct Case {
  AnswerStyle style;
  std::string raw;
  Expected expected;
};

const AnswerStyle kMarked = AnswerStyle::kMarkedSentences;
const AnswerStyle kQuoted = AnswerStyle::kQuotedPassages;

std::vector<Case> Cases() {
  return {
      {kMarked,
       "¶12 The cat sat. It slept.",
       {"The cat sat. It slept.", true, {{{12}, "The cat sat. It slept."}}}},
      {kMarked, "¶3 One. ¶45 Two.", {"One. Two.", true, {{{3}, "One."}, {{45}, "Two."}}}},
      {kMarked, " Not stated in the document.", {"Not stated in the document.", false, {}}},
      {kMarked, "", {"", false, {}}},
      {kMarked, "¶7", {"", false, {{{7}, ""}}}},
      {kMarked, "¶7 See ¶9 above.", {"See ¶9 above.", true, {{{7}, "See ¶9 above."}}}},
      {kMarked, "¶7 ¶8 Both.", {"Both.", true, {{{7, 8}, "Both."}}}},
      {kMarked, "¶ 7 is a section sign", {"¶ 7 is a section sign", true, {}}},
      {kMarked, "¶12345678901 x", {"¶12345678901 x", true, {}}},
      {kMarked, "¶7 It is 5° [sic", {"It is 5° [sic", true, {{{7}, "It is 5° [sic"}}}},
      {kQuoted,
       "[¶2] \"alpha beta\"\n[¶3] \"gamma\"",
       {"\"alpha beta\"\n\"gamma\"", true, {{{2}, "alpha beta"}, {{3}, "gamma"}}}},
      {kQuoted,
       "It says \"alpha\" [¶2] and \"beta\" [¶4][¶5].",
       {"It says \"alpha\" and \"beta\" .", true, {{{2}, "alpha"}, {{4, 5}, "beta"}}}},
      {kQuoted, "[¶2, ¶3; x", {"[¶2, ¶3; x", true, {}}},
      {kQuoted,
       "[¶2, ¶3, 4] \u201Cone\u201D and \u201Ctwo\u201D",
       {"\u201Cone\u201D and \u201Ctwo\u201D", true, {{{2, 3, 4}, "one"}, {{2, 3, 4}, "two"}}}},
      {kQuoted,
       "[¶2] no quotation marks",
       {"no quotation marks", true, {{{2}, "no quotation marks"}}}},
      {kQuoted, "\"not stated in the Document\"", {"\"not stated in the Document\"", false, {}}},
      {kQuoted, "see [a] or [¶] or [¶x]", {"see [a] or [¶] or [¶x]", true, {}}},
  };
}

void ExpectParsed(const ParsedAnswer& parsed, const Expected& expected) {
  EXPECT_EQ(parsed.text, expected.text);
  EXPECT_EQ(parsed.answered, expected.answered);
  std::vector<std::pair<std::vector<int>, std::string>> quotes;
  for (const AnswerQuote& quote : parsed.quotes) quotes.emplace_back(quote.paragraphs, quote.text);
  EXPECT_EQ(quotes, expected.quotes);
}

TEST(AnswerParserTest, TakesWholeAnswersApart) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.raw);
    ExpectParsed(ParseAnswer(c.style, kNotStated, c.raw), c.expected);
  }
}

TEST(AnswerParserTest, CutsDoNotMatterAndMarkersAreNeverShown) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    for (const Case& c : Cases()) {
      SCOPED_TRACE(c.raw);
      AnswerParser parser(c.style, kNotStated);
      std::string shown;
      for (size_t at = 0; at < c.raw.size();) {
        const size_t length = random() % 4 + 1;
        shown += parser.Push(c.raw.substr(at, length));
        at += length;
      }
      shown += parser.Finish();
      ExpectParsed(parser.Parsed(), c.expected);
      ASSERT_TRUE(shown.starts_with(c.expected.text)) << shown;
      ASSERT_EQ(shown.find_first_not_of(' ', c.expected.text.size()), std::string::npos) << shown;
    }
  }
}

TEST(AnswerParserTest, CopiesGoOnIndependently) {
  AnswerParser first(kMarked, kNotStated);
  EXPECT_EQ(first.Push("¶1"), "");
  AnswerParser second = first;
  EXPECT_EQ(first.Push("2 a"), "a");
  EXPECT_EQ(second.Push(" b"), "b");
  EXPECT_EQ(first.Parsed().quotes[0].paragraphs, std::vector<int>{12});
  EXPECT_EQ(second.Parsed().quotes[0].paragraphs, std::vector<int>{1});
}

}  // namespace
}  // namespace lectern::tokenizer
