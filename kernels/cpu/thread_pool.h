#pragma once
// A fixed team of threads for the operators. Starting a region costs about a microsecond while the
// team still spins; a thread start would cost 30-50 us, more than a whole matrix-vector product.

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

  // Calls body(share, thread) once for each share in [0, num_shares) and returns when all have
  // returned. Shares are claimed as threads get to them, so that a thread which lost its core
  // delays nothing that it has not begun; `thread` in [0, size()) says whose scratch to use.
  template <typename Body>
  void Run(int num_shares, const Body& body) {
    Start(
        num_shares,
        [](const void* context, int share, int thread) {
          (*static_cast<const Body*>(context))(share, thread);
        },
        &body);
  }

  // Calls body(begin, end, thread) on contiguous parts of [0, count) that begin at multiples of
  // `grain`.
  template <typename Body>
  void ParallelFor(int64_t count, int64_t grain, const Body& body) {
    const int64_t units = (count + grain - 1) / grain;
    if (units <= 1 || workers_.empty()) {
      if (count > 0) body(int64_t{0}, count, 0);
      return;
    }
    const int64_t shares = std::min<int64_t>(units, int64_t{kSharesPerThread} * size());
    Run(static_cast<int>(shares), [&](int share, int thread) {
      const int64_t begin = units * share / shares * grain;
      const int64_t end = std::min(count, units * (share + 1) / shares * grain);
      body(begin, end, thread);
    });
  }

 private:
  using Entry = void (*)(const void* context, int share, int thread);
  static constexpr int kSharesPerThread = 2;

  void Start(int num_shares, Entry entry, const void* context);
  void Work(int thread);
  // Claims and runs shares of the present region until none is left.
  void RunShares(int thread);

  std::vector<std::thread> workers_;
  // The present region. Written before `ticket_`; read only by who has claimed a share, which the
  // region waits for.
  Entry entry_ = nullptr;
  const void* context_ = nullptr;
  // Shares of the region (high half) and the next one to claim (low half). A thread that comes late
  // finds no share left and touches nothing else.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<int> epoch_{0};  // rises with each region; threads sleep on it
  std::atomic<bool> stopping_{false};
};

}  // namespace lectern::kernels::cpu
