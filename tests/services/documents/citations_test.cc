// Every passage that FindQuote returns is exactly the document's bytes, and it is the right place.

#include "services/documents/citations.h"

#include <cstdio>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/services/documents/paragraph_checks.h"
#include "tests/services/documents/parsed_documents.h"
#include "tests/services/documents/random_text.h"

namespace lectern::documents {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CitationsTest : public ::testing::Test {
 protected:
  void Add(std::string text, std::vector<int64_t> page_begins = {}) {
    documents_.push_back(
        MakeParsed(std::to_string(documents_.size()), std::move(text), std::move(page_begins)));
    placed_ = PlaceAll(documents_);
  }
  std::vector<v1::Passage> Find(std::string_view quote, const std::vector<int>& named = {}) {
    const std::vector<v1::Passage> passages = FindQuote(documents_, placed_, named, quote);
    for (const v1::Passage& passage : passages) {
      const ParsedDocument& document =
          *documents_[static_cast<size_t>(passage.document().back() - '0')];
      EXPECT_EQ(passage.text(), document.text.substr(static_cast<size_t>(passage.byte_begin()),
                                                     static_cast<size_t>(passage.byte_end() -
                                                                         passage.byte_begin())));
      EXPECT_EQ(passage.page(), document.PageOf(passage.byte_begin()));
    }
    return passages;
  }
  std::vector<std::string> Texts(std::string_view quote, const std::vector<int>& named = {}) {
    std::vector<std::string> texts;
    for (const v1::Passage& passage : Find(quote, named)) texts.push_back(passage.text());
    return texts;
  }

  std::vector<std::shared_ptr<const ParsedDocument>> documents_;
  std::vector<PlacedParagraph> placed_;
};

TEST_F(CitationsTest, FindsAQuoteOverLineBreaks) {
  Add("The quick brown\n   fox jumps over\nthe lazy dog. It sleeps.\n");
  EXPECT_THAT(Texts("quick brown fox jumps over the lazy dog."),
              ElementsAre("quick brown\n   fox jumps over\nthe lazy dog."));
  EXPECT_THAT(Texts(" The  quick\nbrown fox "), ElementsAre("The quick brown\n   fox"));
}

TEST_F(CitationsTest, FindsHyphenatedWordsBothWays) {
  Add("We keep a compat-\nibility layer for all of them.");
  EXPECT_THAT(Texts("a compat- ibility layer"), ElementsAre("a compat-\nibility layer"));
  EXPECT_THAT(Texts("a compatibility layer"), ElementsAre("a compat-\nibility layer"));
}

TEST_F(CitationsTest, FindsUnicodeWhole) {
  Add("Grüße aus Übersee — “schön”, 日本語の文。😀 end\u00A0here");
  EXPECT_THAT(Texts("Übersee — “schön”,"), ElementsAre("Übersee — “schön”,"));
  EXPECT_THAT(Texts("Übersee - \"schön\", 日本語"), ElementsAre("Übersee — “schön”, 日本語"));
  EXPECT_THAT(Texts("文。😀 end here"), ElementsAre("文。😀 end\u00A0here"));
}

TEST_F(CitationsTest, FoldsLigaturesEllipsisAndSoftHyphens) {
  Add("The eﬃcient ﬁnder… co\u00ADoperates.");
  EXPECT_THAT(Texts("The efficient finder... cooperates."),
              ElementsAre("The eﬃcient ﬁnder… co\u00ADoperates."));
}

TEST_F(CitationsTest, PrefersTheNamedParagraph) {
  Add("The rate is five percent.\n\nOther words.\n\nThe rate is five percent.\n\nThe rate is five "
      "percent.");
  EXPECT_EQ(Find("The rate is five percent.")[0].byte_begin(), 0);
  EXPECT_EQ(Find("The rate is five percent.", {3})[0].byte_begin(), 41);
  EXPECT_EQ(Find("The rate is five percent.", {4, 3})[0].byte_begin(), 68);
  EXPECT_EQ(Find("The rate is five percent.", {2})[0].byte_begin(), 0) << "named, but not there";
  EXPECT_EQ(Find("The rate is five percent.", {99})[0].byte_begin(), 0);
}

TEST_F(CitationsTest, SpansNeighbouringParagraphs) {
  Add("It begins here.\n\nIt ends there.\n\nMore.");
  EXPECT_THAT(Texts("It begins here. It ends there."),
              ElementsAre("It begins here.\n\nIt ends there."));
}

TEST_F(CitationsTest, DoesNotSpanDocumentsOrGaps) {
  Add("The first document ends here.");
  Add("The second one begins here. And on.\n\nMiddle of it all.\n\nThe last of all the words.");
  EXPECT_THAT(Texts("ends here. The second"), IsEmpty());
  placed_.erase(placed_.begin() + 2);
  EXPECT_THAT(Texts("And on. The last of"), IsEmpty());
  EXPECT_THAT(Texts("Middle of it all."), IsEmpty()) << "not in the prompt";
}

TEST_F(CitationsTest, TriesSentencesWhereTheWholeDoesNotStand) {
  Add("First there was a beginning. Then came a middle part. Last there was an end.");
  EXPECT_THAT(Texts("First there was a beginning. Last there was an end."),
              ElementsAre("First there was a beginning.", "Last there was an end."));
  EXPECT_THAT(Texts("It says so. Then came a middle part."),
              ElementsAre("Then came a middle part."));
  EXPECT_THAT(Texts("Then came a middle part. I made this up. Then came a middle part."),
              ElementsAre("Then came a middle part."));
}

TEST_F(CitationsTest, FindsWhatAnAnswerQuotes) {
  Add("The tenant shall pay the rent on the first day of the month. Nothing else.");
  EXPECT_THAT(Texts("The contract demands to \"pay the rent on the first day\" of every month."),
              ElementsAre("pay the rent on the first day"));
  EXPECT_THAT(Texts("It says “The tenant shall pay the rent on the first day of the month.”"),
              ElementsAre("The tenant shall pay the rent on the first day of the month."));
}

TEST_F(CitationsTest, NearMissesAreNotCited) {
  Add("The limit is 500 megabytes per user. The cat sat on the catalogue.");
  EXPECT_THAT(Texts("The limit is 600 megabytes per user."), IsEmpty());
  EXPECT_THAT(Texts("the limit is 500 megabytes per user."), IsEmpty())
      << "case is kept by who copies";
  EXPECT_THAT(Texts("Not stated in the document."), IsEmpty());
  EXPECT_THAT(Texts("imit is 500 megabytes"), IsEmpty()) << "begins inside a word";
  EXPECT_THAT(Texts("cat sat"), ElementsAre("cat sat"));
  EXPECT_THAT(Texts("the catalog"), IsEmpty()) << "short, and ends inside a word";
  EXPECT_THAT(Texts("The limit is 500 megabytes per us"),
              ElementsAre("The limit is 500 megabytes per us"))
      << "an answer that ran out of tokens";
}

TEST_F(CitationsTest, ShortQuotesCountOnlyWhereNamed) {
  Add("There are 7 of them.\n\nOr 7, as others say.");
  EXPECT_THAT(Texts("7"), IsEmpty());
  EXPECT_EQ(Find("7", {2})[0].byte_begin(), 25);
  EXPECT_THAT(Texts(""), IsEmpty());
  EXPECT_THAT(Texts(" . "), IsEmpty());
  EXPECT_THAT(Texts(".", {1}), IsEmpty());
}

TEST_F(CitationsTest, ReportsThePageOfTheFirstByte) {
  Add("One page with words here.\n\nA sentence that runs over the\npage break and on. Then more.",
      {0, 57});
  EXPECT_EQ(Find("One page with words")[0].page(), 1);
  EXPECT_EQ(Find("runs over the page break")[0].page(), 1);
  EXPECT_EQ(Find("page break and on.")[0].page(), 2);
}

TEST_F(CitationsTest, NothingPlacedNothingFound) {
  EXPECT_THAT(Texts("anything at all"), IsEmpty());
  Add("Text of a document.");
  placed_.clear();
  EXPECT_THAT(Texts("Text of a document."), IsEmpty());
}

TEST_F(CitationsTest, RepetitionIsNotSlow) {
  std::string text;
  for (int i = 0; i < 150'000; ++i) text += "ab";
  Add(text);
  EXPECT_THAT(Texts(std::string(5'000, 'a')), IsEmpty());
  EXPECT_THAT(Texts("bab"), IsEmpty());
}

// Any stretch of a paragraph that begins and ends at words is found, and what is found says the
// same.
TEST_F(CitationsTest, FindsWhateverIsCopied) {
  const uint32_t seed = std::random_device{}();
  std::fprintf(stderr, "seed %u\n", seed);
  std::mt19937 random(seed);
  int found = 0;
  for (int round = 0; round < 60; ++round) {
    documents_.clear();
    RandomText made = MakeRandomText(random, 300);
    Add(made.text, made.page_begins);
    const ParsedDocument& document = *documents_[0];
    if (document.paragraphs.empty()) continue;
    for (int draw = 0; draw < 20; ++draw) {
      const size_t p = random() % document.paragraphs.size();
      const std::string& normalized = document.paragraphs[p].normalized;
      size_t begin = normalized.find(' ', random() % normalized.size());
      begin = begin == std::string::npos ? 0 : begin + 1;
      size_t end = normalized.find(' ', begin + random() % (normalized.size() - begin));
      if (end == std::string::npos || end <= begin) end = normalized.size();
      const std::string quote = normalized.substr(begin, end - begin);
      const auto passages = Find(quote, {static_cast<int>(p) + 1});
      if (passages.empty()) {
        // Only what has no word in it may go unfound.
        EXPECT_TRUE(quote.find_first_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos)
            << quote;
        continue;
      }
      ++found;
      std::string cited = NormalizeSimply(passages[0].text());
      std::string copied = quote;
      std::erase(cited, ' ');
      std::erase(copied, ' ');
      EXPECT_EQ(cited, copied);
    }
  }
  EXPECT_GT(found, 600);
}

}  // namespace
}  // namespace lectern::documents
