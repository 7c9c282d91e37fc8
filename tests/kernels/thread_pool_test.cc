// Regions of the thread pool: every share once, whatever the team.

#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <vector>

namespace lectern::kernels::cpu {
namespace {

TEST(ThreadPool, EveryIndexIsVisitedOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t count : {0, 1, 5, 64, 1000}) {
      for (const int64_t grain : {1, 6, 64}) {
        std::vector<int> visits(static_cast<size_t>(count));
        pool.ParallelFor(count, grain, [&](int64_t begin, int64_t end, int thread) {
          EXPECT_EQ(begin % grain, 0);
          EXPECT_LT(thread, threads);
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        EXPECT_EQ(visits, std::vector<int>(static_cast<size_t>(count), 1));
      }
    }
  }
}

// Regions in quick succession, with pauses long enough for the team to fall asleep in between.
TEST(ThreadPool, ManyShortRegions) {
  ThreadPool pool(4);
  std::vector<int64_t> sums(16);
  for (int round = 0; round < 20000; ++round) {
    pool.Run(16, [&](int share, int) { sums[static_cast<size_t>(share)] += share; });
    if (round % 5000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), int64_t{0}), 20000 * 120);
}

TEST(ThreadPool, RegionsSeeEachOthersWrites) {
  ThreadPool pool(3);
  std::vector<int> from(300, 0), to(300, 0);
  for (int round = 0; round < 200; ++round) {
    pool.ParallelFor(300, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        to[static_cast<size_t>(i)] = from[static_cast<size_t>(299 - i)] + 1;
      }
    });
    std::swap(from, to);
  }
  EXPECT_EQ(from, std::vector<int>(300, 200));
}

}  // namespace
}  // namespace lectern::kernels::cpu
