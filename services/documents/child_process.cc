#include "services/documents/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"

namespace lectern::documents {
namespace {

using Clock = std::chrono::steady_clock;
using End = ChildOutcome::End;

constexpr size_t kErrorBytesMax = 4096;
constexpr int kPollMs = 100;
constexpr const char* kPath = "/usr/local/bin:/usr/bin:/bin";

class File {
 public:
  explicit File(int fd = -1) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

absl::Status FromErrno(std::string_view what) {
  return absl::UnavailableError(absl::StrCat(base::ToAbsl(what), ": ", std::strerror(errno)));
}

absl::StatusOr<std::string> FindProgram(const std::string& program) {
  if (program.find('/') != std::string::npos) {
    if (access(program.c_str(), X_OK) == 0) return program;
    return absl::FailedPreconditionError(
        absl::StrCat(program, " is not there or cannot be executed"));
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : kPath;
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    const std::string candidate = std::string(directory) + "/" + program;
    if (!directory.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::FailedPreconditionError(absl::StrCat(program, " is not installed"));
}

// A file without a name: nothing is left behind, however this process ends.
absl::StatusOr<File> MakeInput(std::string_view input) {
  const char* directory = std::getenv("TMPDIR");
  std::string name = absl::StrCat(directory != nullptr ? directory : "/tmp", "/lectern_XXXXXX");
  File file(mkostemp(name.data(), O_CLOEXEC));
  if (!file.open()) return FromErrno("cannot create a temporary file");
  unlink(name.c_str());
  for (size_t done = 0; done < input.size();) {
    const ssize_t wrote = write(file.get(), input.data() + done, input.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return FromErrno("cannot write a temporary file");
    done += static_cast<size_t>(wrote);
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return FromErrno("cannot rewind a temporary file");
  return file;
}

struct Pipe {
  File read;
  File write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return FromErrno("cannot create a pipe");
  return Pipe{File(fds[0]), File(fds[1])};
}

void Limit(decltype(RLIMIT_AS) resource, rlim_t value) {
  const rlimit limit{value, value};
  if (setrlimit(resource, &limit) != 0) _exit(126);
}

struct ChildSetup {
  const char* path;
  char* const* arguments;
  char* const* environment;
  int input;
  int output;
  int error_output;
  ChildLimits limits;
};

// Between fork and exec: only calls that are safe after a fork of a process with threads.
[[noreturn]] void BecomeProgram(const ChildSetup& setup) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (dup2(setup.input, 0) < 0 || dup2(setup.output, 1) < 0 || dup2(setup.error_output, 2) < 0)
    _exit(126);
  if (close_range(3, ~0U, 0) != 0) {
    for (int fd = 3; fd < 65536; ++fd) close(fd);  // kernels before 5.9
  }
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_NOFILE, 32);
  Limit(RLIMIT_FSIZE, 1 << 20);
  Limit(RLIMIT_CPU, static_cast<rlim_t>(setup.limits.seconds) + 1);
  Limit(RLIMIT_AS, static_cast<rlim_t>(setup.limits.memory_bytes));
  execve(setup.path, setup.arguments, setup.environment);
  _exit(127);
}

// Owns the child: killed with its whole group and reaped, at the latest on destruction.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (reaped_) return;
    Kill();
    Wait(0);
  }
  void Kill() {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);  // where the group does not exist yet
  }
  // True once it has ended.
  bool Wait(int flags) {
    pid_t got = 0;
    do {
      got = waitpid(pid_, &status_, flags);
    } while (got < 0 && errno == EINTR);
    reaped_ = got == pid_ || got < 0;
    // Its descendants would hold nothing of ours, but run on.
    if (reaped_) kill(-pid_, SIGKILL);
    return reaped_;
  }
  int status() const { return status_; }

 private:
  pid_t pid_;
  int status_ = 0;
  bool reaped_ = false;
};

// Reads what is there. Closes the file at its end. `keep_max`: bytes kept; more are counted as
// lost.
bool Drain(File& file, size_t keep_max, std::string& kept) {
  std::array<char, 65536> buffer;
  const ssize_t got = read(file.get(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) {
    file.Close();
    return true;
  }
  const size_t room = keep_max - std::min(keep_max, kept.size());
  kept.append(buffer.data(), std::min(room, static_cast<size_t>(got)));
  return static_cast<size_t>(got) <= room;
}

End Watch(Child& child, File& output, File& error_output, const ChildLimits& limits,
          const std::function<bool()>& cancelled, ChildOutcome& outcome) {
  const auto deadline = Clock::now() + std::chrono::seconds(limits.seconds);
  bool ended = false;
  while (output.open() || error_output.open() || !ended) {
    if (cancelled && cancelled()) return End::kCancelled;
    if (Clock::now() >= deadline) return End::kTimeLimit;
    std::array<pollfd, 2> waits = {pollfd{output.get(), POLLIN, 0},
                                   pollfd{error_output.get(), POLLIN, 0}};
    const bool any_open = output.open() || error_output.open();
    poll(waits.data(), waits.size(), any_open ? kPollMs : 1);  // a negative descriptor is skipped
    if (waits[0].revents != 0 &&
        !Drain(output, static_cast<size_t>(limits.output_bytes), outcome.output)) {
      return End::kOutputLimit;
    }
    if (waits[1].revents != 0) Drain(error_output, kErrorBytesMax, outcome.error_output);
    if (!ended && !any_open) ended = child.Wait(WNOHANG);
  }
  return WIFSIGNALED(child.status()) ? End::kSignalled : End::kExited;
}

}  // namespace

absl::StatusOr<ChildOutcome> RunChild(const std::string& program,
                                      const std::vector<std::string>& arguments,
                                      std::string_view input, const ChildLimits& limits,
                                      const std::function<bool()>& cancelled) {
  ASSIGN_OR_RETURN(std::string path, FindProgram(program));
  ASSIGN_OR_RETURN(File input_file, MakeInput(input));
  ASSIGN_OR_RETURN(Pipe output, MakePipe());
  ASSIGN_OR_RETURN(Pipe error_output, MakePipe());

  // Everything that allocates happens before the fork.
  std::vector<std::string> words = {path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = {absl::StrCat("PATH=", kPath), "LC_ALL=C.UTF-8"};
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& variable : variables) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const ChildSetup setup{path.c_str(),
                         argv.data(),
                         envp.data(),
                         input_file.get(),
                         output.write.get(),
                         error_output.write.get(),
                         limits};

  const pid_t pid = fork();
  if (pid < 0) return FromErrno("cannot start " + program);
  if (pid == 0) BecomeProgram(setup);
  setpgid(pid, pid);  // also by the child; whoever comes first
  Child child(pid);
  output.write.Close();
  error_output.write.Close();

  ChildOutcome outcome;
  outcome.end = Watch(child, output.read, error_output.read, limits, cancelled, outcome);
  if (outcome.end == End::kExited) outcome.code = WEXITSTATUS(child.status());
  if (outcome.end == End::kSignalled) outcome.code = WTERMSIG(child.status());
  if (outcome.end == End::kExited && outcome.code >= 126 && outcome.output.empty()) {
    return absl::UnavailableError(absl::StrCat("cannot start ", path, " within its limits"));
  }
  return outcome;
}

}  // namespace lectern::documents
