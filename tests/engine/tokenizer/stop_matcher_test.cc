#include "engine/tokenizer/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace lectern::tokenizer {
namespace {

StopMatcher Make(std::vector<std::string> stops) {
  auto matcher = StopMatcher::Create(std::move(stops));
  EXPECT_TRUE(matcher.ok()) << matcher.status();
  return *std::move(matcher);
}

TEST(StopMatcherTest, FindsAStopAcrossDeltas) {
  StopMatcher matcher = Make({"<end>"});
  EXPECT_EQ(matcher.Push("hello <e"), "hello ");
  EXPECT_EQ(matcher.Push("n"), "");
  EXPECT_EQ(matcher.Push("d> more"), "");
  EXPECT_EQ(matcher.matched(), 0U);
  EXPECT_EQ(matcher.Push("after"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcherTest, GivesBackWhatOnlyLookedLikeAStop) {
  StopMatcher matcher = Make({"aab"});
  EXPECT_EQ(matcher.Push("aa"), "");
  EXPECT_EQ(matcher.Push("a"), "a");  // "aa" may still begin one
  EXPECT_EQ(matcher.Push("c"), "aac");
  EXPECT_EQ(matcher.Push("aa"), "");
  EXPECT_EQ(matcher.Finish(), "aa");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcherTest, TheFirstToBeCompleteWinsThenTheLonger) {
  StopMatcher matcher = Make({"xyz", "yz", "abcdef", "cd"});
  EXPECT_EQ(matcher.Push("1 abcd"), "1 ab");  // "cd" is complete before "abcdef"
  EXPECT_EQ(matcher.matched(), 3U);
  matcher = Make({"yz", "xyz"});
  EXPECT_EQ(matcher.Push("wxyz"), "w");
  EXPECT_EQ(matcher.matched(), 1U);
}

TEST(StopMatcherTest, CopiesGoOnIndependently) {
  StopMatcher first = Make({"stop"});
  EXPECT_EQ(first.Push("a st"), "a ");
  StopMatcher second = first;
  EXPECT_EQ(first.Push("op"), "");
  EXPECT_TRUE(first.stopped());
  EXPECT_EQ(second.Push("ay"), "stay");
  EXPECT_FALSE(second.stopped());
}

TEST(StopMatcherTest, WithoutStopsEverythingPasses) {
  StopMatcher matcher = Make({});
  EXPECT_EQ(matcher.Push("any"), "any");
}

TEST(StopMatcherTest, RefusesBadStops) {
  const auto code = [](std::vector<std::string> stops) {
    return StopMatcher::Create(std::move(stops)).status().code();
  };
  EXPECT_EQ(code({"a", ""}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({std::string(StopMatcher::kMaxStopBytes + 1, 'a')}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::vector<std::string>(StopMatcher::kMaxStops + 1, "a")),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"\x80"}), absl::StatusCode::kInvalidArgument);
}

// Against a search in the whole text, over random cuts.
TEST(StopMatcherTest, RandomCutsGiveTheSameText) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto letters = [&](size_t length) {
    std::string text;
    while (text.size() < length) text += static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops;
    for (auto i = random() % 3 + 1; i > 0; --i) stops.push_back(letters(random() % 7 + 2));
    const std::string text = letters(random() % 40);
    size_t expected_size = text.size();
    for (size_t end = 1; end <= text.size() && expected_size == text.size(); ++end) {
      for (const std::string& stop : stops) {
        if (!text.substr(0, end).ends_with(stop)) continue;
        expected_size = std::min(expected_size, end - stop.size());
      }
    }
    StopMatcher matcher = Make(stops);
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t length = random() % 5 + 1;
      out += matcher.Push(text.substr(at, length));
      at += length;
      ASSERT_TRUE(text.substr(0, expected_size).starts_with(out));
    }
    ASSERT_EQ(out + matcher.Finish(), text.substr(0, expected_size));
    ASSERT_EQ(matcher.stopped(), expected_size != text.size());
  }
}

}  // namespace
}  // namespace lectern::tokenizer
