#pragma once
// One subcommand of `lectern` and the table of all of them.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/cli/args.h"

namespace lectern::cli {

// Exit codes: scripts rely on them, `lectern --help` prints them.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,       // a question, job, check or request failed
  kExitUsage = 2,        // the command line is wrong
  kExitUnavailable = 3,  // no server answers, or the model or data directory cannot be used
  kExitInterrupted = 130,
};

struct Command {
  CommandSpec spec;
  int (*run)(const Args& args) = nullptr;
};

// In the order in which help lists them.
const std::vector<Command>& Commands();

// Each defined beside its implementation.
Command ServeCommand();
Command AskCommand();
std::vector<Command> DocCommands();
std::vector<Command> JobCommands();
Command ChatCommand();
Command LogitsCommand();
Command BenchEngineCommand();
Command VerifyCommand();
std::vector<Command> CacheCommands();
Command StatsCommand();
Command DoctorCommand();
Command VersionCommand();
Command CompletionCommand();

// Runs the command that `words` (without the program's name) name. Returns the exit code.
int Run(const std::vector<std::string>& words);

// Prints "lectern: message" to standard error and returns the exit code that fits the status.
int Fail(const absl::Status& status);
int ExitCodeOf(const absl::Status& status);

}  // namespace lectern::cli
