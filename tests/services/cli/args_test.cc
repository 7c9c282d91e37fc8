#include "services/cli/args.h"

#include <gtest/gtest.h>

namespace lectern::cli {
namespace {

CommandSpec Spec() {
  return {.name = "probe",
          .summary = "for tests",
          .positionals = "FILE...",
          .positionals_min = 1,
          .positionals_max = 2,
          .flags = {Switch("json", "machine output"), Integer("threads", "how many", 1, 64),
                    Real("top-p", "share", 0, 1),
                    Choice("dtype", {"bfloat16", "float32"}, "arithmetic"),
                    Path("model", "DIR", "where"), Repeated(Text("stop", "TEXT", "ends"))},
          .details = "",
          .example = "lectern probe a"};
}

std::string ErrorOf(const std::vector<std::string>& words) {
  static const CommandSpec spec = Spec();
  const absl::StatusOr<Args> args = Args::Parse(spec, words);
  return args.ok() ? "" : std::string(args.status().message());
}

TEST(ArgsTest, ReadsFlagsAndPositionalsInAnyOrder) {
  const CommandSpec spec = Spec();
  const std::vector<std::string> words = {"a.pdf",  "--threads", "4",      "--json", "--top-p=0.5",
                                          "--stop", "x",         "--stop", "--y",    "b.pdf"};
  const absl::StatusOr<Args> args = Args::Parse(spec, words);
  ASSERT_TRUE(args.ok()) << args.status();
  EXPECT_EQ(args->positionals(), (std::vector<std::string>{"a.pdf", "b.pdf"}));
  EXPECT_TRUE(args->json());
  EXPECT_EQ(args->Integer("threads", 0), 4);
  EXPECT_EQ(args->Real("top-p", 1), 0.5);
  EXPECT_EQ(args->All("stop"), (std::vector<std::string>{"x", "--y"}));
  EXPECT_FALSE(args->Has("model"));
  EXPECT_EQ(args->Text("dtype", "bfloat16"), "bfloat16");
}

TEST(ArgsTest, DoubleDashEndsFlags) {
  const CommandSpec spec = Spec();
  const std::vector<std::string> words = {"--", "--json", "--help"};
  const absl::StatusOr<Args> args = Args::Parse(spec, words);
  ASSERT_TRUE(args.ok());
  EXPECT_FALSE(args->json());
  EXPECT_FALSE(args->help());
  EXPECT_EQ(args->positionals().size(), 2U);
}

TEST(ArgsTest, HelpWinsOverFaults) {
  const CommandSpec spec = Spec();
  const std::vector<std::string> words = {"--threads", "x", "--help"};
  const absl::StatusOr<Args> args = Args::Parse(spec, words);
  ASSERT_TRUE(args.ok());
  EXPECT_TRUE(args->help());
}

TEST(ArgsTest, FaultsNameTheFlagAndTheValue) {
  EXPECT_EQ(ErrorOf({"a", "--threads", "4x"}), "--threads: '4x' is not an integer");
  EXPECT_EQ(ErrorOf({"a", "--threads", "65"}), "--threads: 65 is outside [1, 64]");
  EXPECT_EQ(ErrorOf({"a", "--top-p", "nan"}), "--top-p: 'nan' is not a number");
  EXPECT_EQ(ErrorOf({"a", "--dtype", "fp4"}), "--dtype: 'fp4' is not one of bfloat16, float32");
  EXPECT_EQ(ErrorOf({"a", "--josn"}), "unknown flag --josn; did you mean --json?");
  EXPECT_EQ(ErrorOf({"a", "--json=1"}), "--json takes no value");
  EXPECT_EQ(ErrorOf({"a", "-x"}), "unknown flag -x; flags begin with --");
  EXPECT_EQ(ErrorOf({"a", "--model"}), "--model needs a value: --model DIR");
  EXPECT_EQ(ErrorOf({}), "missing argument: expected FILE...");
  EXPECT_EQ(ErrorOf({"a", "b", "c"}), "too many arguments: expected FILE...");
}

TEST(ArgsTest, HelpShowsEveryFlagAndTheExample) {
  const std::string help = HelpText(Spec());
  for (const char* part : {"--json", "--threads N", "--dtype bfloat16|float32", "--model DIR",
                           "usage: lectern probe [flags] FILE...", "example:\n  lectern probe a"}) {
    EXPECT_NE(help.find(part), std::string::npos) << part << "\n" << help;
  }
}

TEST(ArgsTest, NearestWordFindsOnlyNearOnes) {
  EXPECT_EQ(NearestWord("sevre", {"serve", "stats"}), "serve");
  EXPECT_EQ(NearestWord("banana", {"serve", "stats"}), "");
}

}  // namespace
}  // namespace lectern::cli
