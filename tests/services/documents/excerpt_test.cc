#include "services/documents/excerpt.h"

#include <cstdio>
#include <numeric>
#include <random>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/documents/lexical_index.h"
#include "tests/services/documents/parsed_documents.h"
#include "tests/services/documents/random_text.h"

namespace lectern::documents {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ExcerptTest : public ::testing::Test {
 protected:
  void Add(std::string text) {
    documents_.push_back(MakeParsed(std::to_string(documents_.size()), std::move(text)));
    std::vector<int32_t> tokens;
    for (const Paragraph& paragraph : documents_.back()->paragraphs) {
      tokens.push_back(static_cast<int32_t>(paragraph.normalized.size() / 4 + 3));
    }
    tokens_.push_back(std::move(tokens));
  }
  std::vector<int> Choose(std::string_view question, int64_t budget) {
    ExcerptRequest request;
    request.documents = documents_;
    request.question = question;
    request.token_budget = budget;
    request.paragraph_tokens = tokens_;
    const auto chosen = ChooseExcerpt(request);
    EXPECT_TRUE(chosen.ok()) << chosen.status();
    std::vector<int> numbers;
    int64_t spent = 0;
    const auto all = PlaceAll(documents_);
    if (!chosen.ok()) return numbers;
    for (const PlacedParagraph& placed : *chosen) {
      EXPECT_EQ(all[static_cast<size_t>(placed.number) - 1].document, placed.document);
      EXPECT_EQ(all[static_cast<size_t>(placed.number) - 1].paragraph, placed.paragraph);
      EXPECT_LT(numbers.empty() ? 0 : numbers.back(), placed.number) << "document order";
      numbers.push_back(placed.number);
      spent += tokens_[static_cast<size_t>(placed.document)][static_cast<size_t>(placed.paragraph)];
    }
    EXPECT_LE(spent, budget);
    return numbers;
  }

  std::vector<std::shared_ptr<const ParsedDocument>> documents_;
  std::vector<std::vector<int32_t>> tokens_;
};

TEST_F(ExcerptTest, TakesHitsWithNeighboursAndHeading) {
  Add("# Rent\n\nGeneral words on it.\n\nSome more words here.\n\nStill others of them.\n\nThe "
      "deposit is returned in June.\n\n"
      "Behind it.\n\nFar behind it.");
  EXPECT_THAT(Choose("When is the deposit returned?", 1000), ElementsAre(1, 4, 5, 6));
}

TEST_F(ExcerptTest, StemsAndFoldsWords) {
  Add("Nothing of the kind.\n\nFiller text.\n\nThe CAFÉ returned our deposits.\n\nFiller "
      "text.\n\nOther things.");
  EXPECT_THAT(Choose("cafe", 1000), ElementsAre(2, 3, 4));
  EXPECT_THAT(Choose("depositing", 1000), ElementsAre(2, 3, 4));
}

TEST_F(ExcerptTest, TablesOfContentsAreNoHits) {
  Add("1.1 Data races . . . . . . 7\n1.2 Locks . . . . . . 9\n\nPreface.\n\nFiller.\n\nMore "
      "filler.\n\n"
      "A data race happens when two threads write at the same time, as is told in this long "
      "sentence.");
  EXPECT_THAT(Choose("data races", 1000), ElementsAre(5, 6));
}

TEST_F(ExcerptTest, KeepsNumbersAcrossDocuments) {
  Add("First of the first.\n\nSecond of the first.");
  Add("First of the second.\n\nThe zebra stands in here.");
  EXPECT_THAT(Choose("zebra", 1000), ElementsAre(3, 4));
}

TEST_F(ExcerptTest, HoldsTheBudgetBestHitsFirst) {
  Add("The zebra and the zebra.\n\nUnrelated paragraph one.\n\nUnrelated paragraph two.\n\nA zebra "
      "among very many "
      "other words that make it a weaker hit than the first.");
  EXPECT_THAT(Choose("zebra", 9), ElementsAre(1));
  EXPECT_THAT(Choose("zebra", 8), IsEmpty()) << "no paragraph fits";
}

TEST_F(ExcerptTest, WithoutAHitTheBeginningsOfTheDocuments) {
  Add("One alpha.\n\nTwo alpha.\n\nThree alpha.");
  Add("One beta.\n\nTwo beta.");
  EXPECT_THAT(Choose("xylophone", 10), ElementsAre(1, 4));
  EXPECT_THAT(Choose("", 15), ElementsAre(1, 2, 4));
  EXPECT_THAT(Choose("???", 1000), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(ExcerptTest, QuestionsCannotBeQueries) {
  Add("alpha NEAR beta.\n\ngamma.");
  for (const char* question : {"\"", "alpha\" OR \"", "NEAR(alpha beta)", "body: alpha", "alpha*",
                               "-alpha", "^alpha", "alpha AND NOT", "';DROP TABLE paragraphs;--",
                               "{alpha}", "(", "\\", "\xFF\xFE alpha", "it’s alpha…", "a\nb\tc"}) {
    EXPECT_FALSE(Choose(question, 1000).empty()) << question;
  }
}

TEST_F(ExcerptTest, EmptyDocumentsGiveEmptyExcerpts) {
  EXPECT_THAT(Choose("anything", 1000), IsEmpty());
  Add("Text.");
  EXPECT_THAT(Choose("text", 0), IsEmpty());
}

TEST_F(ExcerptTest, RandomDocumentsAndQuestions) {
  const uint32_t seed = std::random_device{}();
  std::fprintf(stderr, "seed %u\n", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    documents_.clear();
    tokens_.clear();
    for (int d = 0; d < 3; ++d) Add(MakeRandomText(random, 200).text);
    int32_t smallest = 1 << 30;
    for (const auto& tokens : tokens_) {
      for (const int32_t count : tokens) smallest = std::min(smallest, count);
    }
    const std::string question = MakeRandomText(random, 8).text;
    const int64_t budget = smallest + static_cast<int64_t>(random() % 200);
    EXPECT_FALSE(Choose(question, budget).empty()) << question;
  }
}

TEST(FtsQueryTest, QuotesTellingWordsOnce) {
  EXPECT_EQ(MakeFtsQuery("What is the Rent, and the rent's \"OR\"?"), "\"rent\" OR \"s\"");
  EXPECT_EQ(MakeFtsQuery("who is it"), "\"who\" OR \"is\" OR \"it\"");
  EXPECT_EQ(MakeFtsQuery("?!"), "");
  const std::string many = MakeFtsQuery([] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "w" + std::to_string(i) + " ";
    return text;
  }());
  EXPECT_LT(many.size(), 1000u);
}

}  // namespace
}  // namespace lectern::documents
