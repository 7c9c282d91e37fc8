// The cage around a program that reads hostile bytes: nothing gets in but its input, it cannot
// outlive its limits.

#include "services/documents/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lectern::documents {
namespace {

using End = ChildOutcome::End;
using ::testing::HasSubstr;

constexpr ChildLimits kLimits{.memory_bytes = 1LL << 30, .seconds = 20, .output_bytes = 1 << 20};

ChildOutcome Shell(const std::string& script, std::string_view input = "",
                   const ChildLimits& limits = kLimits,
                   const std::function<bool()>& cancelled = {}) {
  const auto outcome = RunChild("sh", {"-c", script}, input, limits, cancelled);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return outcome.ok() ? *outcome : ChildOutcome{};
}

TEST(ChildProcessTest, PassesInputOutputAndExitStatus) {
  const ChildOutcome outcome = Shell("cat; echo oops >&2; exit 3", "hello");
  EXPECT_EQ(outcome.end, End::kExited);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.output, "hello");
  EXPECT_EQ(outcome.error_output, "oops\n");
}

TEST(ChildProcessTest, LargeInputAndOutputDoNotDeadlock) {
  ChildLimits limits = kLimits;
  limits.output_bytes = 8 << 20;
  const std::string input(4 << 20, 'x');
  EXPECT_EQ(Shell("cat; head -c 100000 /dev/zero >&2", input, limits).output, input);
}

TEST(ChildProcessTest, InheritsNeitherFilesNorEnvironment) {
  setenv("LECTERN_TEST_SECRET", "secret", 1);
  const int null = open("/dev/null", O_RDONLY);
  const int open_file = fcntl(null, F_DUPFD, 20);  // not close-on-exec
  close(null);
  const ChildOutcome outcome =
      Shell("env; for fd in /proc/self/fd/*; do echo \"$fd\"; done; ulimit -c; ulimit -n");
  close(open_file);
  unsetenv("LECTERN_TEST_SECRET");
  EXPECT_THAT(outcome.output, ::testing::Not(HasSubstr("SECRET")));
  EXPECT_THAT(outcome.output, ::testing::Not(HasSubstr("/fd/" + std::to_string(open_file) + "\n")));
  EXPECT_THAT(outcome.output, HasSubstr("\n0\n32\n"));
}

TEST(ChildProcessTest, StopsAtTheWallClock) {
  ChildLimits limits = kLimits;
  limits.seconds = 1;
  // Grandchildren go too: sleep holds the pipe open behind the shell's back.
  EXPECT_EQ(Shell("sleep 600 & sleep 600", "", limits).end, End::kTimeLimit);
}

TEST(ChildProcessTest, KillsTheWholeGroup) {
  ChildLimits limits = kLimits;
  limits.seconds = 1;
  const ChildOutcome outcome = Shell("sleep 600 & echo $!; sleep 600", "", limits);
  EXPECT_EQ(outcome.end, End::kTimeLimit);
  const pid_t grandchild = std::atoi(outcome.output.c_str());
  ASSERT_GT(grandchild, 0);
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i) {
    // A zombie waits for whoever inherited it; a running one has a command line.
    const std::string path = "/proc/" + std::to_string(grandchild) + "/cmdline";
    const int file = open(path.c_str(), O_RDONLY);
    char byte = 0;
    gone = file < 0 || read(file, &byte, 1) <= 0;
    if (file >= 0) close(file);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(gone);
}

TEST(ChildProcessTest, StopsAtTheOutputLimit) {
  const ChildOutcome outcome =
      Shell("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
  EXPECT_EQ(outcome.end, End::kOutputLimit);
  EXPECT_LE(outcome.output.size(), static_cast<size_t>(kLimits.output_bytes));
}

TEST(ChildProcessTest, StopsAtTheMemoryLimit) {
  ChildLimits limits = kLimits;
  limits.memory_bytes = 64 << 20;
  const ChildOutcome outcome =
      Shell("x=$(head -c 200000000 /dev/zero | tr '\\0' y); echo ${#x}", "", limits);
  EXPECT_TRUE(outcome.end == End::kSignalled || outcome.code != 0) << outcome.output;
}

TEST(ChildProcessTest, StopsWhenCancelled) {
  int polls = 0;
  EXPECT_EQ(Shell("sleep 600", "", kLimits, [&] { return ++polls > 3; }).end, End::kCancelled);
}

TEST(ChildProcessTest, ReportsSignals) {
  const ChildOutcome outcome = Shell("kill -SEGV $$");
  EXPECT_EQ(outcome.end, End::kSignalled);
  EXPECT_EQ(outcome.code, SIGSEGV);
}

TEST(ChildProcessTest, AMissingProgramIsAFailedPrecondition) {
  EXPECT_EQ(RunChild("no-such-program-anywhere", {}, "", kLimits, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(RunChild("/no/such/program", {}, "", kLimits, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace lectern::documents
