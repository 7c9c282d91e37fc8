#include "engine/scheduler/waiting_queue.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace lectern::scheduler {
namespace {

std::vector<SequenceId> AdmitAll(WaitingQueue& queue, int slots = 100) {
  std::vector<SequenceId> order;
  queue.Admit(slots, [&](SequenceId id) {
    order.push_back(id);
    return Admission::kAdmitted;
  });
  return order;
}

TEST(WaitingQueueTest, PriorityFirstThenArrival) {
  WaitingQueue queue(16);
  queue.Push(1, 0);
  queue.Push(2, 5);
  queue.Push(3, 0);
  queue.Push(4, 5);
  queue.Push(5, -1);
  EXPECT_EQ(AdmitAll(queue, 3), (std::vector<SequenceId>{2, 4, 1}));
  EXPECT_EQ(AdmitAll(queue), (std::vector<SequenceId>{3, 5}));
  EXPECT_EQ(queue.size(), 0);
}

TEST(WaitingQueueTest, ErasedOnesAreNotOffered) {
  WaitingQueue queue(16);
  queue.Push(1, 0);
  queue.Push(2, 0);
  EXPECT_TRUE(queue.Erase(1));
  EXPECT_FALSE(queue.Erase(1));
  EXPECT_EQ(AdmitAll(queue), std::vector<SequenceId>{2});
}

TEST(WaitingQueueTest, SmallOnesPassALargeOneOnlySoOften) {
  WaitingQueue queue(3);
  queue.Push(100, 0);  // never fits here
  for (SequenceId id = 1; id <= 10; ++id) queue.Push(id, 0);
  std::set<SequenceId> admitted;
  const auto only_small = [&](SequenceId id) {
    if (id == 100) return Admission::kNoRoom;
    admitted.insert(id);
    return Admission::kAdmitted;
  };
  queue.Admit(2, only_small);
  queue.Admit(100, only_small);
  EXPECT_EQ(admitted, (std::set<SequenceId>{1, 2, 3}));
  queue.Admit(100, only_small);
  EXPECT_EQ(admitted.size(), 3U);  // closed until the large one is in
  EXPECT_EQ(AdmitAll(queue, 1), std::vector<SequenceId>{100});
}

TEST(WaitingQueueTest, ADeferredOneHoldsUpNobody) {
  WaitingQueue queue(1);
  for (SequenceId id = 1; id <= 10; ++id) queue.Push(id, 0);
  int admitted = 0;
  queue.Admit(100, [&](SequenceId id) {
    if (id == 1) return Admission::kDeferred;
    ++admitted;
    return Admission::kAdmitted;
  });
  EXPECT_EQ(admitted, 9);
  EXPECT_TRUE(queue.Contains(1));
}

}  // namespace
}  // namespace lectern::scheduler
