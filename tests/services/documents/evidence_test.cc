#include <cstdio>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/documents/citations.h"
#include "services/documents/passages.h"
#include "tests/services/documents/parsed_documents.h"
#include "tests/services/documents/random_text.h"

namespace lectern::documents {
namespace {

using ::testing::IsEmpty;

// A prompt as the layout makes it: before each paragraph two tokens of marker, behind it one;
// paragraphs cut into tokens of a word with the space before it.
struct Prompt {
  std::vector<ParagraphTokens> tokens;
  std::vector<uint32_t> counts;
};

Prompt LayOut(DocumentList documents, std::span<const PlacedParagraph> placed) {
  Prompt prompt;
  int64_t position = 10;  // system text
  for (const PlacedParagraph& paragraph : placed) {
    const std::string& text = documents[static_cast<size_t>(paragraph.document)]
                                  ->paragraphs[static_cast<size_t>(paragraph.paragraph)]
                                  .normalized;
    position += 2;
    ParagraphTokens tokens;
    tokens.token_begin = position;
    for (size_t at = 0; at < text.size(); ++at) {
      if (at == 0 || text[at] == ' ') tokens.token_byte_begins.push_back(static_cast<int32_t>(at));
    }
    position += static_cast<int64_t>(tokens.token_byte_begins.size()) + 1;
    tokens.token_byte_begins.push_back(static_cast<int32_t>(text.size()));
    prompt.tokens.push_back(std::move(tokens));
  }
  prompt.counts.resize(static_cast<size_t>(position) + 5);  // the question
  return prompt;
}

class EvidenceTest : public ::testing::Test {
 protected:
  void Add(std::string text, std::vector<int64_t> page_begins = {}) {
    documents_.push_back(
        MakeParsed(std::to_string(documents_.size()), std::move(text), std::move(page_begins)));
    placed_ = PlaceAll(documents_);
    prompt_ = LayOut(documents_, placed_);
  }
  std::vector<v1::Passage> Rank(int limit = 100) {
    return RankEvidence(documents_, placed_, prompt_.tokens, prompt_.counts, limit);
  }
  uint32_t& CountAt(size_t paragraph, size_t token) {
    return prompt_.counts[static_cast<size_t>(prompt_.tokens[paragraph].token_begin) + token];
  }

  std::vector<std::shared_ptr<const ParsedDocument>> documents_;
  std::vector<PlacedParagraph> placed_;
  Prompt prompt_;
};

TEST_F(EvidenceTest, ScoresShareOverUniformShare) {
  Add("one two three four\n\nfive six\n\nseven", {0});
  ASSERT_EQ(placed_.size(), 3u);
  CountAt(0, 0) = 10;
  CountAt(1, 1) = 30;
  prompt_.counts[0] =
      60;  // the system text is selected too: part of the whole, no passage of its own
  const auto passages = Rank();
  ASSERT_EQ(passages.size(), 2u) << "what nobody selected is no evidence";
  const double positions = static_cast<double>(prompt_.counts.size());
  EXPECT_EQ(passages[0].text(), "five six");
  EXPECT_EQ(passages[0].page(), 1);
  EXPECT_DOUBLE_EQ(passages[0].score(), 0.3 / (2 / positions));
  EXPECT_EQ(passages[1].text(), "one two three four");
  EXPECT_DOUBLE_EQ(passages[1].score(), 0.1 / (4 / positions));
  EXPECT_EQ(Rank(1).size(), 1u);
  EXPECT_THAT(Rank(0), IsEmpty());
}

TEST_F(EvidenceTest, UniformSelectionScoresOne) {
  Add("one two three four\n\nfive six\n\nseven. " + std::string(700, 'x') + " eight");
  std::fill(prompt_.counts.begin(), prompt_.counts.end(), 7);
  for (const v1::Passage& passage : Rank())
    EXPECT_NEAR(passage.score(), 1.0, 1e-12) << passage.text();
}

TEST_F(EvidenceTest, TiesStandInOrderOfTheText) {
  Add("one\n\ntwo\n\nthree");
  Add("four");
  std::fill(prompt_.counts.begin(), prompt_.counts.end(), 1);
  std::vector<std::string> texts;
  for (const v1::Passage& passage : Rank()) texts.push_back(passage.text());
  EXPECT_THAT(texts, ::testing::ElementsAre("one", "two", "three", "four"));
}

TEST_F(EvidenceTest, LongParagraphsBecomeSentenceWindows) {
  std::string text;
  for (int i = 0; i < 30; ++i)
    text += "Sentence number " + std::to_string(i) + " is about something\nelse. ";
  Add(text);
  ASSERT_EQ(placed_.size(), 1u);
  std::fill(prompt_.counts.begin(), prompt_.counts.end(), 1);
  CountAt(0, 7 * 20 + 3) += 1000;  // inside the sentence "number 20"; seven words each
  const auto passages = Rank();
  ASSERT_GT(passages.size(), 1u);
  for (const v1::Passage& passage : passages) {
    EXPECT_LE(passage.text().size(), 600u);
    EXPECT_EQ(passage.text().substr(0, 8), "Sentence");
    EXPECT_EQ(passage.text().back(), '.');
  }
  EXPECT_NE(passages[0].text().find("number 20 "), std::string::npos);
}

TEST_F(EvidenceTest, NoSelectionsNoEvidence) {
  Add("one two");
  EXPECT_THAT(Rank(), IsEmpty());
  EXPECT_THAT(RankEvidence({}, {}, {}, {}, 3), IsEmpty());
}

TEST_F(EvidenceTest, TokensBeyondTheCountsAreLeftOut) {
  Add("one two\n\nthree four");
  std::fill(prompt_.counts.begin(), prompt_.counts.end(), 1);
  prompt_.counts.resize(static_cast<size_t>(prompt_.tokens[1].token_begin) + 1);
  const auto passages = Rank();
  ASSERT_EQ(passages.size(), 2u);
  for (const v1::Passage& passage : passages) EXPECT_DOUBLE_EQ(passage.score(), 1.0);
}

// Windows cover all that is visible, do not overlap, hold their limit; every selected token falls
// into exactly one.
TEST_F(EvidenceTest, WindowsPartitionRandomParagraphs) {
  const uint32_t seed = std::random_device{}();
  std::fprintf(stderr, "seed %u\n", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 40; ++round) {
    documents_.clear();
    RandomText made = MakeRandomText(random, 500);
    Add(made.text, made.page_begins);
    uint64_t selected = 0;
    for (size_t p = 0; p < placed_.size(); ++p) {
      for (size_t t = 0; t + 1 < prompt_.tokens[p].token_byte_begins.size(); ++t) {
        selected += CountAt(p, t) = static_cast<uint32_t>(1 + random() % 9);
      }
    }
    const auto passages = Rank(100'000);
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (const v1::Passage& passage : passages) {
      EXPECT_LE(passage.text().size(), 600u);
      EXPECT_EQ(passage.text(),
                documents_[0]->text.substr(static_cast<size_t>(passage.byte_begin()),
                                           passage.text().size()));
      ranges.emplace_back(passage.byte_begin(), passage.byte_end());
    }
    std::sort(ranges.begin(), ranges.end());
    for (size_t i = 1; i < ranges.size(); ++i) EXPECT_LE(ranges[i - 1].second, ranges[i].first);
    for (size_t i = 1; i < passages.size(); ++i)
      EXPECT_GE(passages[i - 1].score(), passages[i].score());
    // Every visible byte stands in a window.
    for (size_t p = 0; p < placed_.size(); ++p) {
      const Paragraph& paragraph = documents_[0]->paragraphs[p];
      size_t visible = 0;
      for (const ByteRange& range : SentenceWindows(paragraph, 600)) {
        for (int64_t at = range.begin; at < range.end; ++at) {
          visible += paragraph.normalized[static_cast<size_t>(at)] != ' ';
        }
      }
      const auto spaces = std::count(paragraph.normalized.begin(), paragraph.normalized.end(), ' ');
      EXPECT_EQ(visible, paragraph.normalized.size() - static_cast<size_t>(spaces));
    }
    EXPECT_GT(selected, 0u);
  }
}

}  // namespace
}  // namespace lectern::documents
