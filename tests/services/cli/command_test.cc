#include "services/cli/command.h"

#include <gtest/gtest.h>

#include <set>

#include "services/cli/engine_bench.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

TEST(CommandTest, EveryCommandHasSummaryExampleAndDistinctFlags) {
  std::set<std::string> names;
  for (const Command& command : Commands()) {
    EXPECT_TRUE(names.insert(command.spec.name).second) << command.spec.name;
    EXPECT_FALSE(command.spec.summary.empty()) << command.spec.name;
    EXPECT_TRUE(command.spec.example.find("lectern " + command.spec.name) != std::string::npos)
        << command.spec.name << ": its example does not show it";
    EXPECT_NE(command.run, nullptr) << command.spec.name;
    std::set<std::string> flags;
    for (const Flag& flag : command.spec.flags) {
      EXPECT_TRUE(flags.insert(flag.name).second)
          << command.spec.name << " --" << flag.name << " twice";
      EXPECT_FALSE(flag.help.empty()) << command.spec.name << " --" << flag.name;
    }
  }
  for (const char* name :
       {"serve",        "ask",         "doc add",    "doc list",     "doc show",   "doc text",
        "doc rm",       "doc warm",    "job submit", "job watch",    "job cancel", "job list",
        "job show",     "chat",        "logits",     "bench engine", "verify",     "cache stats",
        "cache verify", "cache evict", "stats",      "doctor",       "version",    "completion"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

std::string OutputOf(const std::vector<std::string>& words, int* code) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  *code = Run(words);
  return testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
}

TEST(CommandTest, HelpWorksForEveryCommand) {
  int code = -1;
  for (const Command& command : Commands()) {
    std::vector<std::string> words;
    const size_t space = command.spec.name.find(' ');
    words.push_back(command.spec.name.substr(0, space));
    if (space != std::string::npos) words.push_back(command.spec.name.substr(space + 1));
    words.emplace_back("--help");
    const std::string output = OutputOf(words, &code);
    EXPECT_EQ(code, kExitOk) << command.spec.name;
    EXPECT_NE(output.find("example:"), std::string::npos) << output;
  }
  EXPECT_NE(OutputOf({"doc", "--help"}, &code).find("doc warm"), std::string::npos);
  EXPECT_EQ(code, kExitOk);
  EXPECT_NE(OutputOf({"help", "ask"}, &code).find("--questions"), std::string::npos);
  EXPECT_EQ(code, kExitOk);
}

TEST(CommandTest, WrongCommandLinesExitWithTwo) {
  int code = -1;
  EXPECT_NE(OutputOf({"sevre"}, &code).find("did you mean serve?"), std::string::npos);
  EXPECT_EQ(code, kExitUsage);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"doc"},
                                             {"doc", "fly"},
                                             {"ask"},
                                             {"ask", "f"},
                                             {"serve", "--threads", "x"},
                                             {"completion", "fish"}}) {
    OutputOf(words, &code);
    EXPECT_EQ(code, kExitUsage) << (words.empty() ? "" : words[0]);
  }
}

TEST(CommandTest, CompletionNamesCommandsFlagsAndChoices) {
  int code = -1;
  const std::string script = OutputOf({"completion", "bash"}, &code);
  EXPECT_EQ(code, kExitOk);
  for (const char* part :
       {"job) verbs=\"cancel list show submit watch\"", "--after-seq",
        "\"cache evict --tier\") COMPREPLY", "complete -o filenames -F _lectern lectern"}) {
    EXPECT_NE(script.find(part), std::string::npos) << part;
  }
}

TEST(BenchTest, PercentilesAreOfNearestRank) {
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(Percentile({1, 2, 3, 4}, 0.5), 2);
  EXPECT_EQ(Percentile({1, 2, 3, 4}, 0.99), 4);
  EXPECT_EQ(Percentile({5}, 0), 5);
}

TEST(TerminalTest, SizesAndBars) {
  EXPECT_EQ(BytesText(312), "312 B");
  EXPECT_EQ(BytesText(1536), "1.5 KiB");
  EXPECT_EQ(SecondsText(0.25), "0.250 s");
  EXPECT_EQ(ProgressLine("up", 1 << 20, 2 << 20, "B"),
            "up [############------------] 50 %  1.0 MiB of 2.0 MiB");
  EXPECT_EQ(ProgressLine("read", 7, 0, "tokens"), "read  7 tokens");
}

}  // namespace
}  // namespace lectern::cli
