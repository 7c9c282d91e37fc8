#include "engine/cache/block_pool.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

namespace lectern::cache {
namespace {

KvLayout SmallLayout() {
  KvLayout layout;
  layout.num_layers = 2;
  layout.num_full_layers = 1;
  layout.latent_row = 4;
  layout.index_row = 2;
  return layout;
}

std::unique_ptr<BlockPool> MakePool(int64_t pages) {
  auto pool = BlockPool::Create(SmallLayout(), pages);
  EXPECT_TRUE(pool.ok());
  return std::move(*pool);
}

PageHandle AllocateOne(BlockPool& pool) {
  auto reservation = pool.Reserve(1);
  EXPECT_TRUE(reservation.ok());
  return pool.Allocate(*reservation);
}

PageId PublishOne(BlockPool& pool) {
  const PageHandle page = AllocateOne(pool);
  pool.Publish(page.id());
  return page.id();
}

TEST(BlockPoolTest, RefusesPoolsWithoutPagesOrBytes) {
  EXPECT_EQ(BlockPool::Create(SmallLayout(), 0).error().code, base::Code::kInvalidArgument);
  EXPECT_EQ(BlockPool::Create(KvLayout{}, 4).error().code, base::Code::kInvalidArgument);
}

TEST(BlockPoolTest, APageGoesBackWhereItBelongsWhenItsLastHandleGoes) {
  auto pool = MakePool(3);
  PageHandle first = AllocateOne(*pool);
  PageHandle second = first.Share(PageHolder::kSequence);
  EXPECT_EQ(first.id(), second.id());
  first.reset();
  EXPECT_EQ(pool->counts().referenced, 1);
  second.reset();
  EXPECT_EQ(pool->counts().free, 3);

  PublishOne(*pool);
  EXPECT_EQ(pool->counts().cached, 1);
  EXPECT_EQ(pool->counts().free, 2);
}

TEST(BlockPoolTest, EvictsTheLeastRecentlyUsedCachedPageAndTellsItsListener) {
  auto pool = MakePool(3);
  std::vector<PageId> evicted;
  pool->SetEvictionListener([&](PageId page) { evicted.push_back(page); });
  const PageId a = PublishOne(*pool);
  PageHandle hold = AllocateOne(*pool);  // so that the next one is another page
  const PageId b = PublishOne(*pool);
  hold.reset();
  ASSERT_NE(a, b);
  pool->Pin(a).reset();  // used again: b is the oldest now

  auto reservation = pool->Reserve(3);
  ASSERT_TRUE(reservation.ok());
  const PageHandle p1 = pool->Allocate(*reservation);
  EXPECT_TRUE(evicted.empty());  // a free page first
  const PageHandle p2 = pool->Allocate(*reservation);
  const PageHandle p3 = pool->Allocate(*reservation);
  EXPECT_EQ(evicted, (std::vector<PageId>{b, a}));
}

TEST(BlockPoolTest, RefusesReservationsBeyondWhatCanBeHadWithTheNumbers) {
  auto pool = MakePool(4);
  auto three = pool->Reserve(3);
  ASSERT_TRUE(three.ok());
  const auto refused = pool->Reserve(2);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, base::Code::kResourceExhausted);
  EXPECT_EQ(refused.error().message, "needs 2 pages, 1 of 4 can be had");
  const uint64_t epoch = pool->release_epoch();
  three->reset();
  EXPECT_NE(pool->release_epoch(), epoch);
  EXPECT_TRUE(pool->Reserve(4).ok());
}

TEST(BlockPoolTest, PinningNeverTakesAPageThatAReservationNeeds) {
  auto pool = MakePool(2);
  const PageId cached = PublishOne(*pool);
  auto both = pool->Reserve(2);
  ASSERT_TRUE(both.ok());
  EXPECT_FALSE(pool->Pin(cached).valid());
  const PageHandle one = pool->Allocate(*both);
  EXPECT_FALSE(pool->Pin(cached).valid());
  const PageHandle two = pool->Allocate(*both);  // evicts it
  EXPECT_EQ(pool->counts().cached, 0);
}

TEST(BlockPoolTest, AReferencedPageCanBePinnedThoughAllIsReserved) {
  auto pool = MakePool(2);
  const PageHandle shared = AllocateOne(*pool);
  pool->Publish(shared.id());
  const auto rest = pool->Reserve(1);
  ASSERT_TRUE(rest.ok());
  EXPECT_TRUE(pool->Pin(shared.id()).valid());
}

TEST(BlockPoolTest, ReturnedPagesCreditTheReservation) {
  auto pool = MakePool(1);
  auto reservation = pool->Reserve(1);
  ASSERT_TRUE(reservation.ok());
  PageHandle page = pool->Allocate(*reservation);
  pool->ReturnTo(*reservation, std::move(page));
  EXPECT_EQ(reservation->remaining(), 1);
  EXPECT_FALSE(pool->Reserve(1).ok());  // still promised
  EXPECT_TRUE(pool->Allocate(*reservation).valid());
}

TEST(BlockPoolTest, APageUnderATierReadOutlivesItsRequestAndIsLoading) {
  auto pool = MakePool(1);
  PageHandle owner = AllocateOne(*pool);
  PageHandle load = owner.Share(PageHolder::kTierRead);
  EXPECT_EQ(pool->counts().loading, 1);
  EXPECT_DEATH(pool->Publish(owner.id()), "read_refs == 0");
  owner.reset();  // the request was cancelled
  EXPECT_EQ(pool->counts().free, 0);
  EXPECT_FALSE(pool->Reserve(1).ok());
  EXPECT_EQ(pool->CountHeldByTiers(), 1);
  load.reset();
  EXPECT_EQ(pool->counts().free, 1);
  EXPECT_EQ(pool->counts().loading, 0);
}

TEST(BlockPoolTest, CountsPagesThatNobodyKnownHolds) {
  auto pool = MakePool(3);
  const PageHandle known = AllocateOne(*pool);
  PageHandle lost = AllocateOne(*pool);
  const PageHandle written = lost.Share(PageHolder::kTierWrite);
  std::vector<uint8_t> held(3, 0);
  held[static_cast<std::size_t>(known.id())] = 1;
  EXPECT_EQ(pool->CountUnaccounted(held), 1);
  lost.reset();  // only the tier is left, which accounts for itself
  EXPECT_EQ(pool->CountUnaccounted(held), 0);
}

TEST(BlockPoolTest, DropCachedLeavesReferencedPages) {
  auto pool = MakePool(3);
  std::vector<PageId> evicted;
  pool->SetEvictionListener([&](PageId page) { evicted.push_back(page); });
  const PageHandle held = AllocateOne(*pool);
  pool->Publish(held.id());
  const PageId cached = PublishOne(*pool);
  pool->DropCached();
  EXPECT_EQ(evicted, std::vector<PageId>{cached});
  EXPECT_EQ(pool->counts().free, 2);
  EXPECT_TRUE(pool->Pin(held.id()).valid());
}

TEST(BlockPoolTest, ALargePoolTouchesNoMemoryUntilUsed) {
  const auto resident_pages = [] {
    long size = 0, resident = 0;
    FILE* statm = std::fopen("/proc/self/statm", "r");
    EXPECT_EQ(std::fscanf(statm, "%ld %ld", &size, &resident), 2);
    std::fclose(statm);
    return resident;
  };
  KvLayout large;
  large.num_layers = 64;
  large.latent_row = 512;
  const long before = resident_pages();
  auto pool = BlockPool::Create(large, 1024);  // 4 GiB
  ASSERT_TRUE(pool.ok());
  const PageHandle page = AllocateOne(**pool);
  page.bytes()[0] = std::byte{1};
  EXPECT_LT(resident_pages() - before, 4096);  // 16 MiB
}

// Random operations against a plain model of what must be true.
TEST(BlockPoolTest, RandomOperationsConservePages) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  constexpr int64_t kPages = 12;
  auto pool = MakePool(kPages);
  std::set<PageId> published;
  pool->SetEvictionListener([&](PageId page) { ASSERT_EQ(published.erase(page), 1U); });
  std::vector<PageHandle> handles;
  std::vector<Reservation> reservations;
  const auto take = [&](auto& from) {
    std::swap(from[rng() % from.size()], from.back());
    auto taken = std::move(from.back());
    from.pop_back();
    return taken;
  };
  for (int step = 0; step < 20000; ++step) {
    switch (rng() % 8) {
      case 0:
        if (auto reserved = pool->Reserve(static_cast<int64_t>(rng() % 4)); reserved.ok()) {
          reservations.push_back(std::move(*reserved));
        }
        break;
      case 1:
        if (!reservations.empty()) take(reservations);
        break;
      case 2:
      case 3:
        if (!reservations.empty() && reservations.back().remaining() > 0) {
          handles.push_back(pool->Allocate(reservations.back()));
        }
        break;
      case 4:
        if (!handles.empty()) take(handles);
        break;
      case 5:
        if (!handles.empty()) {
          const PageId page = handles[rng() % handles.size()].id();
          pool->Publish(page);
          published.insert(page);
        }
        break;
      case 6:
        if (!published.empty()) {
          auto it = std::next(published.begin(), static_cast<long>(rng() % published.size()));
          if (PageHandle pinned = pool->Pin(*it); pinned.valid()) {
            handles.push_back(std::move(pinned));
          }
        }
        break;
      default:
        if (rng() % 50 == 0) pool->DropCached();
    }
    std::set<PageId> referenced;
    for (const PageHandle& handle : handles) referenced.insert(handle.id());
    int64_t promised = 0;
    for (const Reservation& reservation : reservations) promised += reservation.remaining();
    const PoolCounts counts = pool->counts();
    ASSERT_EQ(counts.free + counts.cached + counts.referenced, kPages);
    ASSERT_EQ(counts.referenced, static_cast<int64_t>(referenced.size()));
    ASSERT_EQ(counts.reserved, promised);
    ASSERT_LE(counts.reserved, counts.free + counts.cached);
    for (const PageId page : referenced) {
      if (!published.contains(page)) continue;
      ASSERT_TRUE(pool->Pin(page).valid());
    }
  }
}

// The loop allocates and publishes while a tier's thread copies pages away and lets go of them.
TEST(BlockPoolTest, TiersMayReleaseFromTheirOwnThreads) {
  auto pool = MakePool(8);
  pool->SetEvictionListener([](PageId) {});
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<PageHandle> queue;
  bool done = false;
  std::thread tier([&] {
    std::unique_lock lock(mutex);
    while (true) {
      ready.wait(lock, [&] { return done || !queue.empty(); });
      if (queue.empty()) return;
      PageHandle page = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      const std::byte first = page.bytes()[0];
      for (const std::byte b : page.bytes()) EXPECT_EQ(b, first);
      page.reset();
      lock.lock();
    }
  });
  for (int i = 0; i < 5000; ++i) {
    auto reservation = pool->Reserve(1);
    if (!reservation.ok()) {
      std::this_thread::yield();
      continue;
    }
    PageHandle page = pool->Allocate(*reservation);
    for (std::byte& b : page.bytes()) b = static_cast<std::byte>(i);
    pool->Publish(page.id());
    {
      const std::lock_guard lock(mutex);
      queue.push_back(page.Share(PageHolder::kTierWrite));
    }
    ready.notify_one();
  }
  {
    const std::lock_guard lock(mutex);
    done = true;
  }
  ready.notify_one();
  tier.join();
  EXPECT_EQ(pool->counts().referenced, 0);
  EXPECT_EQ(pool->CountHeldByTiers(), 0);
}

}  // namespace
}  // namespace lectern::cache
