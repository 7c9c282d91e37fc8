#include "tests/e2e/processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "nlohmann/json.hpp"

namespace lectern::e2e {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

struct Redirects {
  int input = -1;  // file descriptors; -1: inherited
  int output = -1;
  int errors = -1;
};

// The program with `words`; the child dies with this process.
pid_t Spawn(const std::vector<std::string>& words, const Redirects& redirects) {
  std::vector<char*> argv;
  std::string program = LECTERN_BINARY;
  argv.push_back(program.data());
  std::vector<std::string> copies = words;
  for (std::string& word : copies) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  LECTERN_CHECK(pid >= 0);
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  if (redirects.input >= 0) dup2(redirects.input, STDIN_FILENO);
  if (redirects.output >= 0) dup2(redirects.output, STDOUT_FILENO);
  if (redirects.errors >= 0) dup2(redirects.errors, STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(127);
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// One line from `file`, or what came until its end or the deadline.
std::string ReadLine(int file, std::chrono::seconds limit) {
  const auto deadline = steady_clock::now() + limit;
  std::string line;
  while (steady_clock::now() < deadline) {
    pollfd wait{.fd = file, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, 100) <= 0) continue;
    char byte = 0;
    if (read(file, &byte, 1) <= 0 || byte == '\n') return line;
    line.push_back(byte);
  }
  return line;
}

}  // namespace

TestDirectory::TestDirectory(const std::string& name) {
  path_ = (fs::temp_directory_path() / ("lectern-" + name + "-XXXXXX")).string();
  LECTERN_CHECK(mkdtemp(path_.data()) != nullptr);
}

TestDirectory::~TestDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TestDirectory::Write(const std::string& inside, const std::string& bytes) const {
  const std::string path = Path(inside);
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const Options& options) {
  fs::create_directories(options.data_directory);
  std::unique_ptr<ServerProcess> server(new ServerProcess);
  server->log_path_ = options.data_directory + ".log";
  std::vector<std::string> words = {
      "serve",       "--listen",   "127.0.0.1:0",          "--metrics",
      "127.0.0.1:0", "--data-dir", options.data_directory, "--model",
      options.model, "--json"};
  words.insert(words.end(), options.flags.begin(), options.flags.end());
  int announce[2];
  LECTERN_CHECK(pipe2(announce, O_CLOEXEC) == 0);
  const int log = open(server->log_path_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  server->pid_ = Spawn(words, {.input = -1, .output = announce[1], .errors = log});
  close(announce[1]);
  close(log);
  const std::string line = ReadLine(announce[0], std::chrono::seconds(120));
  close(announce[0]);
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::UnavailableError(absl::StrCat("the server did not start: ", line, server->Log()));
  }
  server->address_ = json.value("address", "");
  server->metrics_address_ = json.value("metrics_address", "");
  return server;
}

ServerProcess::~ServerProcess() { Kill(); }

bool ServerProcess::Running() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

void ServerProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  WaitFor(pid_);
  pid_ = -1;
}

int ServerProcess::Stop() {
  LECTERN_CHECK(pid_ > 0);
  kill(pid_, SIGTERM);
  const int code = WaitFor(pid_);
  pid_ = -1;
  return code;
}

std::unique_ptr<cli::Client> ServerProcess::Connect() const {
  cli::ConnectOptions options;
  options.server = address_;
  absl::StatusOr<std::unique_ptr<cli::Client>> client = cli::Client::Connect(options);
  LECTERN_CHECK(client.ok());
  return *std::move(client);
}

int64_t ServerProcess::ResidentBytes() const {
  std::ifstream in(absl::StrCat("/proc/", pid_, "/statm"));
  int64_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::string ServerProcess::Log() const { return ReadAll(log_path_); }

CommandResult RunLectern(const std::vector<std::string>& words, const CommandOptions& options) {
  const TestDirectory scratch("command");
  const std::string in_path = scratch.Write("in", options.input);
  const int in = open(in_path.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = open(scratch.Path("out").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const int errors = open(scratch.Path("errors").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const pid_t pid = Spawn(words, {.input = in, .output = out, .errors = errors});
  if (options.interrupt_after.has_value()) {
    // Not reaped yet: a signal to a process that has ended does nothing.
    std::this_thread::sleep_for(*options.interrupt_after);
    kill(pid, SIGINT);
  }
  CommandResult result;
  result.exit_code = WaitFor(pid);
  close(in);
  close(out);
  close(errors);
  result.output = ReadAll(scratch.Path("out"));
  result.errors = ReadAll(scratch.Path("errors"));
  return result;
}

std::string HttpGet(const std::string& address, const std::string& path) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) return "";
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  std::string reply;
  const std::string request =
      absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: ", address, "\r\nConnection: close\r\n\r\n");
  if (connect(file, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0 &&
      write(file, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
    char block[4096];
    for (ssize_t got = 0; (got = read(file, block, sizeof(block))) > 0;) {
      reply.append(block, static_cast<size_t>(got));
    }
  }
  close(file);
  const size_t body = reply.find("\r\n\r\n");
  return body == std::string::npos ? "" : reply.substr(body + 4);
}

int64_t EnvironmentNumber(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  int64_t value = otherwise;
  if (text != nullptr) LECTERN_CHECK(absl::SimpleAtoi(text, &value));
  return value;
}

}  // namespace lectern::e2e
