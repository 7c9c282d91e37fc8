#include "services/cli/questions.h"

#include <gtest/gtest.h>

namespace lectern::cli {
namespace {

TEST(QuestionsTest, ReadsLinesAndKeepsIds) {
  const auto questions = ParseQuestions(
      "{\"id\":\"a\",\"question\":\"Who?\"}\n\n  \r\n{\"id\":7,\"question\":\"Why\\nso?\"}\n"
      "{\"question\":\"Where?\",\"extra\":[1]}",
      "q.jsonl");
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 3U);
  EXPECT_EQ((*questions)[0].id, "a");
  EXPECT_EQ((*questions)[1].id, 7);
  EXPECT_EQ((*questions)[1].text, "Why\nso?");
  EXPECT_EQ((*questions)[2].id, "5");  // the line's number
}

TEST(QuestionsTest, FaultsNameTheLine) {
  const auto error = [](std::string_view text) {
    return std::string(ParseQuestions(text, "q.jsonl").status().message());
  };
  EXPECT_EQ(error("{\"question\":\"x\"}\nno json\n"), "q.jsonl:2: not a JSON object");
  EXPECT_EQ(error("[1]"), "q.jsonl:1: not a JSON object");
  EXPECT_EQ(error("{\"id\":1}"), "q.jsonl:1: no string \"question\"");
  EXPECT_EQ(error("{\"id\":{},\"question\":\"x\"}"),
            "q.jsonl:1: \"id\" is neither a string nor a number");
  EXPECT_EQ(error("\n \n"), "q.jsonl: no question");
  EXPECT_EQ(error("{\"question\":\"\xff\"}"), "q.jsonl:1: not a JSON object");
}

TEST(QuestionsTest, TheLastWordIsTheQuestion) {
  const auto input = ReadAskInput({"a.pdf", "b.pdf", "Who?"}, "");
  ASSERT_TRUE(input.ok());
  EXPECT_EQ(input->files, (std::vector<std::string>{"a.pdf", "b.pdf"}));
  ASSERT_EQ(input->questions.size(), 1U);
  EXPECT_EQ(input->questions[0].text, "Who?");
  EXPECT_FALSE(ReadAskInput({"only"}, "").ok());
  EXPECT_FALSE(ReadAskInput({"a.pdf"}, "no such file.jsonl").ok());
}

}  // namespace
}  // namespace lectern::cli
