#include "services/frontend/task_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace lectern::frontend {
namespace {

TEST(TaskPool, RunsWhatIsQueuedBeforeItDies) {
  std::atomic<int> ran{0};
  {
    TaskPool pool(2, 1000);
    for (int i = 0; i < 500; ++i) pool.Post([&] { ++ran; });
  }
  EXPECT_EQ(ran, 500);
}

TEST(TaskPool, BoundsWhatComesFromOutside) {
  TaskPool pool(1, 2);
  std::promise<void> gate;
  std::promise<void> started;
  pool.Post([&] {
    started.set_value();
    gate.get_future().wait();
  });
  started.get_future().wait();
  EXPECT_TRUE(pool.TryPost([] {}));
  EXPECT_TRUE(pool.TryPost([] {}));
  EXPECT_FALSE(pool.TryPost([] {}));
  gate.set_value();
}

TEST(TaskPool, DelayedTasksRunInTheirOrder) {
  TaskPool pool(1, 10);
  std::vector<int> order;
  std::promise<void> done;
  pool.PostAfter(std::chrono::milliseconds(20), [&] {
    order.push_back(2);
    done.set_value();
  });
  pool.PostAfter(std::chrono::milliseconds(1), [&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace lectern::frontend
