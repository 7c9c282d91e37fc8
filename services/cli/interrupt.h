#pragma once
// Ctrl-C and SIGTERM while a command waits: the first asks it to end cleanly, the second ends the
// process.

#include <functional>
#include <thread>

namespace lectern::cli {

// While one lives, the first SIGINT or SIGTERM calls `on_interrupt` on a thread of its own (it may
// make calls), a second one exits with 130 at once. At most one at a time.
class InterruptScope {
 public:
  explicit InterruptScope(std::function<void()> on_interrupt);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  static bool interrupted();

 private:
  std::function<void()> on_interrupt_;
  std::thread listener_;
};

}  // namespace lectern::cli
