#pragma once
// The built program as processes: a server that can be stopped or killed, and single commands.

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/cli/client.h"

namespace lectern::e2e {

// A directory of one test, gone with it. Holds data directories, models and logs.
class TestDirectory {
 public:
  explicit TestDirectory(const std::string& name);
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  std::string Path(const std::string& inside) const { return path_ + "/" + inside; }
  // Writes a file and returns its path.
  std::string Write(const std::string& inside, const std::string& bytes) const;

 private:
  std::string path_;
};

// `lectern serve` on ports of its own. Dies with this object, and with the test process.
class ServerProcess {
 public:
  struct Options {
    std::string data_directory;
    std::string model;
    std::vector<std::string> flags;  // more of `serve`
  };
  // Waits until it serves. Unavailable: it ended instead; the message holds its log.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const Options& options);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }
  const std::string& metrics_address() const { return metrics_address_; }
  pid_t pid() const { return pid_; }
  bool Running();
  // SIGKILL, as a crash.
  void Kill();
  // SIGTERM; the exit code, or -signal.
  int Stop();
  // A new connection.
  std::unique_ptr<cli::Client> Connect() const;
  // Resident bytes of the process now.
  int64_t ResidentBytes() const;
  // What it wrote to standard error.
  std::string Log() const;

 private:
  ServerProcess() = default;
  pid_t pid_ = -1;
  std::string address_;
  std::string metrics_address_;
  std::string log_path_;
};

struct CommandResult {
  int exit_code = -1;  // -signal where one ended it
  std::string output;
  std::string errors;
};
struct CommandOptions {
  std::string input = {};
  // Where it is set, the command gets SIGINT after this time, if it still runs.
  std::optional<std::chrono::milliseconds> interrupt_after = {};
};
// Runs `lectern WORD...` to its end.
CommandResult RunLectern(const std::vector<std::string>& words, const CommandOptions& options = {});

// The text of http://`address``path`, or empty.
std::string HttpGet(const std::string& address, const std::string& path);

// An environment variable as a number: how long or how often a test repeats.
int64_t EnvironmentNumber(const char* name, int64_t otherwise);

}  // namespace lectern::e2e
