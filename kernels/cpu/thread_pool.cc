#include "kernels/cpu/thread_pool.h"

#include <sched.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lectern::kernels::cpu {
namespace {

// About 50 us on a 4 GHz core: longer than the serial gaps inside a step, shorter than what an idle
// server should burn.
constexpr int kSpins = 4000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

int NumUsableCores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return 1;
  return std::max(1, CPU_COUNT(&cores));
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  const int team = num_threads > 0 ? num_threads : NumUsableCores();
  workers_.reserve(static_cast<size_t>(team - 1));
  for (int thread = 1; thread < team; ++thread) {
    workers_.emplace_back([this, thread] { Work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Start(int num_shares, Entry entry, const void* context) {
  entry_ = entry;
  context_ = context;
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(static_cast<uint64_t>(num_shares) << 32, std::memory_order_release);
  if (!workers_.empty() && num_shares > 1) {
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
  }
  RunShares(0);
  for (int spins = 0; done_.load(std::memory_order_acquire) != num_shares; ++spins) {
    // Whoever holds the last share may need our core.
    if (spins < kSpins) {
      Pause();
    } else {
      sched_yield();
    }
  }
}

void ThreadPool::RunShares(int thread) {
  while (true) {
    const uint64_t ticket = ticket_.fetch_add(1, std::memory_order_acq_rel);
    const auto share = static_cast<uint32_t>(ticket);
    if (share >= ticket >> 32) return;
    entry_(context_, static_cast<int>(share), thread);
    done_.fetch_add(1, std::memory_order_release);
  }
}

void ThreadPool::Work(int thread) {
  int seen = 0;
  while (true) {
    int now = epoch_.load(std::memory_order_acquire);
    for (int spins = 0; now == seen && spins < kSpins; ++spins) {
      Pause();
      now = epoch_.load(std::memory_order_acquire);
    }
    if (now == seen) {
      epoch_.wait(seen, std::memory_order_acquire);
      continue;
    }
    seen = now;
    if (stopping_.load(std::memory_order_relaxed)) return;
    RunShares(thread);
  }
}

}  // namespace lectern::kernels::cpu
