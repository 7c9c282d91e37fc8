#pragma once
// A few threads that run tasks in order of arrival. RPC threads only enqueue here; everything that
// touches the disk, the tokenizer or a child process happens on a pool.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace lectern::frontend {

// Thread safe. The destructor runs what is queued, drops what is delayed, and joins.
class TaskPool {
 public:
  using Task = std::function<void()>;

  // `queued_max` bounds TryPost alone.
  TaskPool(int threads, size_t queued_max);
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // For work that arrives from outside: false, and nothing happens, where the queue is full.
  bool TryPost(Task task);
  // For work that is bounded elsewhere (one task for each running answer).
  void Post(Task task);
  void PostAfter(std::chrono::nanoseconds delay, Task task);

 private:
  void Run();

  const size_t queued_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> queue_;
  std::multimap<std::chrono::steady_clock::time_point, Task> delayed_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lectern::frontend
