#pragma once
// A fixed team of threads for the operators. Starting a region costs about a microsecond while the team
// still spins; a thread start would cost 30-50 us, more than a whole matrix-vector product.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace lectern::kernels::cpu {

// One caller at a time. The caller is thread 0 of every region.
class ThreadPool {
 public:
  // `num_threads` <= 0: every core the process may use.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(thread) once for each thread in [0, size()) and returns when all have returned.
  template <typename Body>
  void Run(const Body& body) {
    Start([](const void* context, int thread) { (*static_cast<const Body*>(context))(thread); },
          &body);
  }

  // Calls body(begin, end, thread) on contiguous shares of [0, count) that are multiples of `grain` but
  // for the last. The split depends on count, grain and size() alone.
  template <typename Body>
  void ParallelFor(int64_t count, int64_t grain, const Body& body) {
    const int64_t units = (count + grain - 1) / grain;
    if (units <= 1 || workers_.empty()) {
      if (count > 0) body(int64_t{0}, count, 0);
      return;
    }
    const int64_t team = size();
    Run([&](int thread) {
      const int64_t begin = units * thread / team * grain;
      const int64_t end = std::min(count, units * (thread + 1) / team * grain);
      if (begin < end) body(begin, end, thread);
    });
  }

 private:
  using Entry = void (*)(const void* context, int thread);
  void Start(Entry entry, const void* context);
  void Work(int thread);

  std::vector<std::thread> workers_;
  // Written by the caller before `epoch_` rises, read by workers after they saw it rise.
  Entry entry_ = nullptr;
  const void* context_ = nullptr;
  alignas(64) std::atomic<int> epoch_{0};
  alignas(64) std::atomic<int> pending_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace lectern::kernels::cpu
