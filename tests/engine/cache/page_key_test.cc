#include "engine/cache/page_key.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/base/sha256.h"

namespace lectern::cache {
namespace {

std::vector<int32_t> Counting(int count, int32_t first = 0) {
  std::vector<int32_t> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

PageKeyChain ChainOf(std::span<const int32_t> tokens, std::string_view salt = "",
                     std::string_view model = "model") {
  PageKeyChain chain(RootKey(NamespaceKey({model, "FSSS", "cpu-f32", "layout-1"}), salt));
  chain.Extend(tokens);
  return chain;
}

TEST(PageKeyTest, OnlyWholePagesHaveKeys) {
  EXPECT_EQ(ChainOf(Counting(63)).num_pages(), 0);
  EXPECT_EQ(ChainOf(Counting(64)).num_pages(), 1);
  EXPECT_EQ(ChainOf(Counting(200)).num_pages(), 3);
}

TEST(PageKeyTest, ExtendingInPartsEqualsExtendingAtOnce) {
  const auto tokens = Counting(400);
  const PageKeyChain whole = ChainOf(tokens);
  PageKeyChain parts = ChainOf(std::span(tokens).first(100));
  parts.Extend(std::span(tokens).first(130));
  parts.Extend(tokens);
  ASSERT_EQ(parts.num_pages(), whole.num_pages());
  for (int64_t page = 0; page < whole.num_pages(); ++page) {
    EXPECT_EQ(parts.key(page), whole.key(page));
  }
}

TEST(PageKeyTest, AKeyNamesEverythingBeforeItAndNothingAfter) {
  auto tokens = Counting(192);
  const PageKeyChain before = ChainOf(tokens);
  tokens[70] += 1;
  const PageKeyChain after = ChainOf(tokens);
  EXPECT_EQ(before.key(0), after.key(0));
  EXPECT_NE(before.key(1), after.key(1));
  EXPECT_NE(before.key(2), after.key(2));
}

TEST(PageKeyTest, NamespaceAndSaltSeparateEverything) {
  const auto tokens = Counting(64);
  EXPECT_NE(ChainOf(tokens, "tenant a").key(0), ChainOf(tokens, "tenant b").key(0));
  EXPECT_NE(ChainOf(tokens, "", "model a").key(0), ChainOf(tokens, "", "model b").key(0));
  // Lengths are hashed: text cannot move from one part to its neighbour.
  EXPECT_NE(NamespaceKey({"ab", "c"}), NamespaceKey({"a", "bc"}));
}

TEST(PageKeyTest, IdentityCarriesParentAndTokens) {
  const auto tokens = Counting(128, 5);
  const PageKeyChain chain = ChainOf(tokens);
  const PageIdentity second = chain.identity(1, tokens);
  EXPECT_EQ(second.parent, chain.key(0));
  EXPECT_EQ(second.key, chain.key(1));
  EXPECT_EQ(second.tokens.front(), 69);
  EXPECT_EQ(second.tokens.back(), 132);
}

// Pages outlive processes: the chain may not change by accident. The value was computed with
// Python's hashlib from the definition in page_key.h.
TEST(PageKeyTest, KeysOfVersionOneStay) {
  const auto key = ChainOf(Counting(64), "salt").key(0);
  EXPECT_EQ(base::ToHex(key.bytes),
            "77d79873bae1d09e259b8e223c5925cb720605764d85d2df5d9cd6233bca633c");
}

}  // namespace
}  // namespace lectern::cache
