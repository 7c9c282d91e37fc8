#include "services/documents/paragraphs.h"

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/services/documents/paragraph_checks.h"
#include "tests/services/documents/random_text.h"

namespace lectern::documents {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Split(std::string_view text,
                               const std::vector<int64_t>& page_begins = {}) {
  const std::vector<Paragraph> paragraphs = SplitParagraphs(text, page_begins);
  CheckParagraphs(text, paragraphs);
  std::vector<std::string> texts;
  for (const Paragraph& paragraph : paragraphs) texts.push_back(paragraph.normalized);
  return texts;
}

std::vector<std::string> Sentences(std::string_view text) {
  CheckSentences(text);
  std::vector<std::string> sentences;
  for (const ByteRange& range : SplitSentences(text)) {
    sentences.emplace_back(text.substr(static_cast<size_t>(range.begin),
                                       static_cast<size_t>(range.end - range.begin)));
  }
  return sentences;
}

TEST(ParagraphsTest, JoinsWrappedLinesAndSplitsAtBlankOnes) {
  EXPECT_THAT(Split("One two\nthree  four.\n\n \n  Five\n"),
              ElementsAre("One two three four.", "Five"));
  EXPECT_THAT(Split(""), ElementsAre());
  EXPECT_THAT(Split(" \n\n \n"), ElementsAre());
  EXPECT_THAT(Split("a"), ElementsAre("a"));
}

TEST(ParagraphsTest, KeepsHyphenationAsItStands) {
  EXPECT_THAT(Split("a compat-\nibility layer"), ElementsAre("a compat- ibility layer"));
}

TEST(ParagraphsTest, EndsAtListItems) {
  EXPECT_THAT(
      Split("Fruit of the season is here:\n- apples\n  and more\n- pears\n• plums"),
      ElementsAre("Fruit of the season is here:", "- apples and more", "- pears", "• plums"));
  EXPECT_THAT(Split("1. First thing\n2. Second thing\n(a) sub"),
              ElementsAre("1. First thing", "2. Second thing", "(a) sub"));
}

TEST(ParagraphsTest, ANumberInsideASentenceIsNoItem) {
  EXPECT_THAT(Split("The committee met in the great hall of the old town on the\n12. of May, and "
                    "nobody came there."),
              ElementsAre("The committee met in the great hall of the old town on the 12. of May, "
                          "and nobody came there."));
}

TEST(ParagraphsTest, EndsAtHeadings) {
  EXPECT_THAT(Split("# Title\nText follows here.\n## Sub\nMore."),
              ElementsAre("# Title", "Text follows here.", "## Sub", "More."));
  EXPECT_THAT(
      Split("7 Reference\nThis chapter describes all the functions, grouped by family and by "
            "name.\n"),
      ElementsAre("7 Reference",
                  "This chapter describes all the functions, grouped by family and by name."));
  EXPECT_THAT(Split("7.1 Hash functions\nA function that takes strings of any size and maps them."),
              ElementsAre("7.1 Hash functions",
                          "A function that takes strings of any size and maps them."));
}

TEST(ParagraphsTest, EndsAtTableLinesAndSkipsRules) {
  EXPECT_THAT(Split("| a | b |\n|---|---|\n| 1 | 2 |\nText"),
              ElementsAre("| a | b |", "| 1 | 2 |", "Text"));
  EXPECT_THAT(Split("name     age     town\nBob      7       Rome"),
              ElementsAre("name age town", "Bob 7 Rome"));
  EXPECT_THAT(Split("1.1 Overview . . . . . . 5\n1.2 Usage . . . . . 7"),
              ElementsAre("1.1 Overview . . . . . . 5", "1.2 Usage . . . . . 7"));
  EXPECT_THAT(Split("Title\n=====\nText"), ElementsAre("Title", "Text"));
}

TEST(ParagraphsTest, AShortLastLineEndsAParagraphWithoutBlankLine) {
  EXPECT_THAT(
      Split("API compatibility is rarely broken, and exceptions are noted in the file of news\n"
            "for every single release of the library as a whole and in its parts too, since\n"
            "the version.\n"
            "ABI compatibility is broken now and then. This is also noted in the file of news\n"
            "and the name of the library changes."),
      ElementsAre(
          "API compatibility is rarely broken, and exceptions are noted in the file of news for "
          "every "
          "single release of the library as a whole and in its parts too, since the version.",
          "ABI compatibility is broken now and then. This is also noted in the file of news and "
          "the "
          "name of the library changes."));
}

TEST(ParagraphsTest, LinesThatAreSentencesAreParagraphs) {
  EXPECT_THAT(
      Split("Ada has a red door.\nBob has a blue one, which is new.\nEve has none."),
      ElementsAre("Ada has a red door.", "Bob has a blue one, which is new.", "Eve has none."));
}

TEST(ParagraphsTest, PagesEndParagraphsUnlessASentenceRunsOver) {
  const std::string finished =
      "This page ends with its sentence here.\n\nThe next page begins anew.\n";
  EXPECT_THAT(Split(finished, {0, 40}),
              ElementsAre("This page ends with its sentence here.", "The next page begins anew."));
  const std::string running =
      "This sentence is long enough to run over the\n\npage break and ends here.\n";
  EXPECT_THAT(
      Split(running, {0, 46}),
      ElementsAre("This sentence is long enough to run over the page break and ends here."));
  EXPECT_THAT(Split("A title\nsmall", {0, 8}), ElementsAre("A title", "small"));
}

TEST(ParagraphsTest, CutsLongParagraphsAtSentences) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "Sentence number " + std::to_string(i) + " stands here. ";
  const std::vector<std::string> pieces = Split(text);
  ASSERT_GT(pieces.size(), 3u);
  for (const std::string& piece : pieces) {
    EXPECT_LE(piece.size(), 2000u);
    EXPECT_EQ(piece.back(), '.');
    EXPECT_EQ(piece.substr(0, 8), "Sentence");
  }
}

TEST(ParagraphsTest, CutsLineOfAMegabyteWithoutSpaces) {
  for (const std::string_view unit : {"x", "é", "漢", "😀"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    for (const std::string& piece : Split(text)) EXPECT_LE(piece.size(), 2000u);
  }
}

TEST(ParagraphsTest, WideGapsDoNotWidenParagraphs) {
  EXPECT_THAT(Split("left" + std::string(100'000, ' ') + "right"), ElementsAre("left", "right"));
  std::string invisible = "a";
  for (int i = 0; i < 1000; ++i) invisible += "\u200B";
  EXPECT_THAT(Split(invisible + "b"), ElementsAre("a", "b"));
}

TEST(ParagraphsTest, ByteMapIsExactForRandomTexts) {
  const uint32_t seed = std::random_device{}();
  std::fprintf(stderr, "seed %u\n", seed);  // a failed check ends the process
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    const RandomText made = MakeRandomText(random, 1 + static_cast<int>(random() % 400));
    const std::vector<Paragraph> paragraphs = SplitParagraphs(made.text, made.page_begins);
    CheckParagraphs(made.text, paragraphs);
    for (const Paragraph& paragraph : paragraphs) {
      for (int draw = 0; draw < 10; ++draw) {
        size_t begin = random() % paragraph.normalized.size();
        size_t end = begin + 1 + random() % (paragraph.normalized.size() - begin);
        const auto border = [&](size_t at) {
          return at == paragraph.normalized.size() || !IsContinuationByte(paragraph.normalized[at]);
        };
        while (!border(begin) || paragraph.normalized[begin] == ' ') ++begin;
        while (end < begin || !border(end)) ++end;
        while (end > begin && paragraph.normalized[end - 1] == ' ') --end;
        if (end > begin) CheckRange(made.text, paragraph, begin, end);
      }
    }
  }
}

TEST(SentencesTest, SplitsAtMarksFollowedByANewBeginning) {
  EXPECT_THAT(Sentences("One. Two! Three? \"Four.\" Five"),
              ElementsAre("One. ", "Two! ", "Three? ", "\"Four.\" ", "Five"));
  EXPECT_THAT(Sentences("Version 3.5 of file.txt is out. See it."),
              ElementsAre("Version 3.5 of file.txt is out. ", "See it."));
  EXPECT_THAT(Sentences(""), ElementsAre());
}

TEST(SentencesTest, KnowsAbbreviationsInitialsAndItemNumbers) {
  EXPECT_THAT(Sentences("Mr. Smith met J. Doe, e.g. Tom, in Fig. 3. Then he left."),
              ElementsAre("Mr. Smith met J. Doe, e.g. Tom, in Fig. 3. ", "Then he left."));
  EXPECT_THAT(Sentences("12. The item. Next."), ElementsAre("12. The item. ", "Next."));
}

TEST(SentencesTest, SplitsOtherScripts) {
  EXPECT_THAT(Sentences("これは本。あれは？はい"), ElementsAre("これは本。", "あれは？", "はい"));
  EXPECT_THAT(Sentences("Ça va… Élan."), ElementsAre("Ça va… ", "Élan."));
}

}  // namespace
}  // namespace lectern::documents
