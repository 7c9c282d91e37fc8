#include "services/frontend/resource_names.h"

#include <gtest/gtest.h>

#include <set>

namespace lectern::frontend {
namespace {

TEST(ResourceNames, IdsAreDistinctAndSortByCreation) {
  base::ManualClock clock;
  std::set<std::string> ids;
  std::string last;
  for (int i = 0; i < 1000; ++i) {
    clock.Advance(std::chrono::milliseconds(1));
    const std::string id = NewId(clock);
    EXPECT_GT(id, last);
    last = id;
    EXPECT_TRUE(ids.insert(id).second);
    EXPECT_EQ(ParseName("jobs", "jobs/" + id), id);
  }
}

TEST(ResourceNames, RefusesWhatIsNotAName) {
  for (const char* bad : {"", "jobs", "jobs/", "jobs/a/b", "job/a", "jobs/a b", "jobs/..",
                          "jobs/\xff", "documents/a", "jobs/a#b"}) {
    EXPECT_FALSE(ParseName("jobs", bad)) << bad;
  }
  EXPECT_FALSE(ParseName("jobs", "jobs/" + std::string(65, 'a')));
  for (const char* bad :
       {"sessions/a/turns/0", "sessions/a/turns/", "sessions/a/turns/-1", "sessions/a/turns/1x",
        "sessions/a/turns/01", "sessions//turns/1", "sessions/a/turns/99999999999", "sessions/a"}) {
    EXPECT_FALSE(ParseTurnName(bad)) << bad;
  }
  const auto turn = ParseTurnName(MakeTurnName("s1", 12));
  ASSERT_TRUE(turn);
  EXPECT_EQ(turn->session_id, "s1");
  EXPECT_EQ(turn->number, 12);
}

TEST(ResourceNames, PageTokensRoundTripAndRefuseForgeries) {
  const std::string key("a\0b/\xff", 5);
  EXPECT_EQ(ParsePageToken(MakePageToken(key)), key);
  for (const char* bad : {"", "1", "2aa", "1a", "1zz", "1a a", "xyz"}) {
    EXPECT_FALSE(ParsePageToken(bad)) << bad;
  }
}

TEST(ResourceNames, Uuids) {
  EXPECT_TRUE(IsUuid("123e4567-e89b-12d3-a456-426614174000"));
  EXPECT_FALSE(IsUuid("123e4567-e89b-12d3-a456-42661417400"));
  EXPECT_FALSE(IsUuid("123e4567ee89b-12d3-a456-426614174000"));
  EXPECT_FALSE(IsUuid("123e4567-e89b-12d3-a456-42661417400g"));
}

}  // namespace
}  // namespace lectern::frontend
