#include "services/cli/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

#include "engine/base/check.h"
#include "services/cli/command.h"

namespace lectern::cli {
namespace {

constexpr char kSignal = 's';
constexpr char kEnd = 'e';

std::atomic<int> signals_seen{0};
std::array<int, 2> wake_pipe{-1, -1};
struct sigaction previous_int, previous_term;

// Only what is safe in a signal handler: a counter, write and _exit.
void OnSignal(int) {
  if (signals_seen.fetch_add(1) > 0) _exit(kExitInterrupted);
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = write(wake_pipe[1], &kSignal, 1);
  errno = saved;
}

}  // namespace

InterruptScope::InterruptScope(std::function<void()> on_interrupt)
    : on_interrupt_(std::move(on_interrupt)) {
  LECTERN_CHECK(wake_pipe[0] == -1);
  LECTERN_CHECK(pipe2(wake_pipe.data(), O_CLOEXEC) == 0);
  signals_seen = 0;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGTERM, &action, &previous_term);
  listener_ = std::thread([this] {
    char byte = 0;
    while (read(wake_pipe[0], &byte, 1) < 0 && errno == EINTR) {
    }
    if (byte == kSignal) on_interrupt_();
  });
}

InterruptScope::~InterruptScope() {
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGTERM, &previous_term, nullptr);
  [[maybe_unused]] const ssize_t written = write(wake_pipe[1], &kEnd, 1);
  listener_.join();
  close(wake_pipe[0]);
  close(wake_pipe[1]);
  wake_pipe = {-1, -1};
}

bool InterruptScope::interrupted() { return signals_seen.load() > 0; }

}  // namespace lectern::cli
