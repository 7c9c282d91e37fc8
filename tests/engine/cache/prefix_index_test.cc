#include "engine/cache/prefix_index.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace lectern::cache {
namespace {

PageIdentity Identity(uint8_t key, uint8_t parent, int32_t token) {
  PageIdentity identity;
  identity.key.bytes[0] = key;
  identity.parent.bytes[0] = parent;
  identity.tokens.fill(token);
  return identity;
}

TEST(PrefixIndexTest, FindsWhatWasInsertedUntilItIsErased) {
  PrefixIndex index;
  EXPECT_EQ(index.Find(Identity(1, 0, 7)).answer, IndexAnswer::kAbsent);
  EXPECT_TRUE(index.Insert(Identity(1, 0, 7), 42));
  EXPECT_EQ(index.Find(Identity(1, 0, 7)).answer, IndexAnswer::kFound);
  EXPECT_EQ(index.Find(Identity(1, 0, 7)).page, 42);
  index.Erase(42);
  EXPECT_EQ(index.Find(Identity(1, 0, 7)).answer, IndexAnswer::kEvicted);
  EXPECT_EQ(index.size(), 0);
}

TEST(PrefixIndexTest, KeepsTheFirstPageUnderAKey) {
  PrefixIndex index;
  EXPECT_TRUE(index.Insert(Identity(1, 0, 7), 42));
  EXPECT_FALSE(index.Insert(Identity(1, 0, 7), 43));
  index.Erase(43);  // unknown: ignored
  EXPECT_EQ(index.Find(Identity(1, 0, 7)).page, 42);
}

TEST(PrefixIndexTest, ACollisionIsNeverServed) {
  PrefixIndex index;
  ASSERT_TRUE(index.Insert(Identity(1, 0, 7), 42));
  EXPECT_EQ(index.Find(Identity(1, 0, 8)).answer, IndexAnswer::kCollision);  // other text
  EXPECT_EQ(index.Find(Identity(1, 9, 7)).answer, IndexAnswer::kCollision);  // other text before it
  EXPECT_FALSE(index.Insert(Identity(1, 0, 8), 43));
}

TEST(PrefixIndexTest, AnyThreadMayLookWhileTheLoopWrites) {
  PrefixIndex index;
  std::atomic<bool> done{false};
  std::thread looker([&] {
    while (!done) {
      const auto found = index.Find(Identity(3, 0, 3));
      if (found.answer == IndexAnswer::kFound) {
        EXPECT_EQ(found.page, 3);
      }
    }
  });
  for (int round = 0; round < 2000; ++round) {
    for (uint8_t i = 0; i < 8; ++i) index.Insert(Identity(i, 0, i), i);
    for (uint8_t i = 0; i < 8; ++i) index.Erase(i);
  }
  done = true;
  looker.join();
  EXPECT_EQ(index.size(), 0);
}

}  // namespace
}  // namespace lectern::cache
