#include "engine/cache/prefix_match.h"

#include <gtest/gtest.h>

#include <numeric>
#include <unordered_set>

namespace lectern::cache {
namespace {

// Knows keys; moves nothing.
class KeysOnlyTier final : public PageTier {
 public:
  std::unordered_set<PageKey, PageKeyHash> keys;
  bool Contains(const PageKey& key) const override { return keys.contains(key); }
  void Store(const PageIdentity&, PageHandle) override {}
  void Load(std::vector<PageLoad>) override {}
  void CancelLoads(uint64_t) override {}
  std::vector<LoadedPage> TakeLoaded() override { return {}; }
  void SetWake(std::function<void()>) override {}
  std::optional<base::Error> Flush() override { return std::nullopt; }
  TierReport Verify() override { return {}; }
  base::Expected<int64_t> Clear() override { return int64_t{0}; }
  TierStats Stats() const override { return {}; }
};

class PrefixMatchTest : public testing::Test {
 protected:
  PrefixMatchTest() : tokens_(5 * kPageSize), chain_(PageKey{}) {
    std::iota(tokens_.begin(), tokens_.end(), 0);
    chain_.Extend(tokens_);
  }
  void InMemory(int64_t page) {
    index_.Insert(chain_.identity(page, tokens_), static_cast<PageId>(100 + page));
  }
  PrefixMatch Match(int64_t max_pages = 5) {
    return MatchPrefix(chain_, tokens_, max_pages, index_, &tier_);
  }

  std::vector<int32_t> tokens_;
  PageKeyChain chain_;
  PrefixIndex index_;
  KeysOnlyTier tier_;
};

TEST(ReusablePagesTest, AtLeastOneTokenIsLeftToCompute) {
  EXPECT_EQ(ReusablePages(0), 0);
  EXPECT_EQ(ReusablePages(64), 0);
  EXPECT_EQ(ReusablePages(65), 1);
  EXPECT_EQ(ReusablePages(128), 1);
  EXPECT_EQ(ReusablePages(129), 2);
}

TEST_F(PrefixMatchTest, TakesTheLongestPrefixOverBothTiers) {
  InMemory(0);
  tier_.keys.insert(chain_.key(1));
  InMemory(2);
  tier_.keys.insert(chain_.key(2));
  InMemory(3);  // in memory alone, behind a page from disk
  const PrefixMatch match = Match();
  ASSERT_EQ(match.pages.size(), 3U);
  EXPECT_EQ(match.pages[0].source, PageSource::kMemory);
  EXPECT_EQ(match.pages[0].page, 100);
  EXPECT_EQ(match.pages[1].source, PageSource::kDisk);
  EXPECT_EQ(match.pages[2].source, PageSource::kDisk);
  EXPECT_EQ(match.miss, MissReason::kNeverStored);
}

TEST_F(PrefixMatchTest, PrefersMemoryAndStopsAtTheLimit) {
  for (int64_t page = 0; page < 5; ++page) {
    InMemory(page);
    tier_.keys.insert(chain_.key(page));
  }
  const PrefixMatch match = Match(4);
  EXPECT_EQ(match.pages.size(), 4U);
  for (const auto& page : match.pages) EXPECT_EQ(page.source, PageSource::kMemory);
  EXPECT_EQ(match.miss, MissReason::kNone);
}

TEST_F(PrefixMatchTest, SaysWhyTheFirstPageIsMissing) {
  InMemory(0);
  index_.Erase(100);
  EXPECT_EQ(Match().miss, MissReason::kEvicted);
  PageIdentity other = chain_.identity(0, tokens_);
  other.tokens[3] = -1;
  index_.Insert(other, 7);
  tier_.keys.insert(chain_.key(0));  // a tier cannot know better than memory: not even asked
  EXPECT_EQ(Match().miss, MissReason::kCollision);
  EXPECT_TRUE(Match().pages.empty());
}

TEST_F(PrefixMatchTest, WorksWithoutATier) {
  InMemory(0);
  EXPECT_EQ(MatchPrefix(chain_, tokens_, 5, index_, nullptr).pages.size(), 1U);
}

}  // namespace
}  // namespace lectern::cache
