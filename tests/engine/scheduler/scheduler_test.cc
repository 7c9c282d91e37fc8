#include "engine/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>

#include "engine/cache/block_pool.h"

namespace lectern::scheduler {
namespace {

Admission AdmitEveryone(SequenceId) { return Admission::kAdmitted; }

// Starts sequences as prefills of the given lengths, ids 1, 2, ….
void Start(Scheduler& scheduler, std::initializer_list<int64_t> prompts) {
  SequenceId id = 0;
  for (const int64_t tokens : prompts) {
    scheduler.Enqueue(++id, 0);
    scheduler.AdmitWaiting(AdmitEveryone);
    scheduler.SetPrefill(id, tokens);
  }
}

std::map<SequenceId, int> AsMap(const StepPlan& plan) {
  std::map<SequenceId, int> tokens;
  for (const PlannedSequence& one : plan.sequences) tokens[one.id] = one.num_tokens;
  return tokens;
}

TEST(SchedulerTest, NothingToDoIsAnEmptyPlan) {
  Scheduler scheduler({});
  EXPECT_TRUE(scheduler.PlanStep().sequences.empty());
  scheduler.Enqueue(1, 0);
  EXPECT_TRUE(scheduler.PlanStep().sequences.empty());
  scheduler.AdmitWaiting(AdmitEveryone);  // restoring
  EXPECT_TRUE(scheduler.PlanStep().sequences.empty());
}

TEST(SchedulerTest, ALongPromptIsComputedInChunksOfTheBudget) {
  Scheduler scheduler({.max_batch_tokens = 100});
  Start(scheduler, {250});
  EXPECT_EQ(AsMap(scheduler.PlanStep())[1], 100);
  scheduler.SetPrefill(1, 50);
  EXPECT_EQ(AsMap(scheduler.PlanStep())[1], 50);
}

TEST(SchedulerTest, DecodeComesFirstAndPrefillTakesTheRest) {
  Scheduler scheduler({.max_batch_tokens = 100});
  Start(scheduler, {1000, 5, 5});
  scheduler.SetDecode(2);
  scheduler.SetDecode(3);
  const StepPlan plan = scheduler.PlanStep();
  ASSERT_EQ(plan.sequences.size(), 3U);
  EXPECT_EQ(plan.sequences[0], (PlannedSequence{2, 1}));
  EXPECT_EQ(plan.sequences[1], (PlannedSequence{3, 1}));
  EXPECT_EQ(plan.sequences[2], (PlannedSequence{1, 98}));
}

// Peers let one long prompt block the first token of short ones for its whole prefill.
TEST(SchedulerTest, AShortPromptDoesNotStandBehindALongOne) {
  Scheduler scheduler({.max_batch_tokens = 100});
  Start(scheduler, {100000, 60});
  const auto plan = AsMap(scheduler.PlanStep());
  EXPECT_EQ(plan.at(2), 60);
  EXPECT_EQ(plan.at(1), 40);
}

TEST(SchedulerTest, TheOldestPrefillIsSureOfAQuarter) {
  Scheduler scheduler({.max_batch_tokens = 100});
  Start(scheduler, {100000, 5000});
  for (int step = 0; step < 10; ++step) {  // short ones never cease to come
    const auto plan = AsMap(scheduler.PlanStep());
    EXPECT_EQ(plan.at(1), 25);
    EXPECT_EQ(plan.at(2), 75);
  }
}

TEST(SchedulerTest, HigherPriorityPrefillsFirst) {
  Scheduler scheduler({.max_batch_tokens = 100});
  scheduler.Enqueue(1, 0);
  scheduler.Enqueue(2, 1);
  scheduler.AdmitWaiting(AdmitEveryone);  // 2 is admitted first
  scheduler.SetPrefill(1, 30);
  scheduler.SetPrefill(2, 500);
  const auto plan = AsMap(scheduler.PlanStep());
  EXPECT_EQ(plan.at(2), 100);
  EXPECT_FALSE(plan.contains(1));
}

TEST(SchedulerTest, NoMoreThanMaxRunningAreAdmitted) {
  Scheduler scheduler({.max_running = 2});
  for (SequenceId id = 1; id <= 3; ++id) scheduler.Enqueue(id, 0);
  scheduler.AdmitWaiting(AdmitEveryone);
  EXPECT_EQ(scheduler.num_running(), 2);
  EXPECT_EQ(scheduler.num_waiting(), 1);
  scheduler.Remove(1);
  scheduler.AdmitWaiting(AdmitEveryone);
  EXPECT_EQ(scheduler.num_running(), 2);
  EXPECT_EQ(scheduler.num_waiting(), 0);
}

TEST(SchedulerTest, ABudgetOfOneTokenServesEveryoneInTurn) {
  Scheduler scheduler({.max_batch_tokens = 1});
  Start(scheduler, {1, 1, 50});
  scheduler.SetDecode(1);
  scheduler.SetDecode(2);
  std::map<SequenceId, int> served;
  for (int step = 0; step < 40; ++step) {
    const StepPlan plan = scheduler.PlanStep();
    ASSERT_EQ(plan.sequences.size(), 1U);
    ++served[plan.sequences[0].id];
  }
  EXPECT_EQ(served[1], 10);
  EXPECT_EQ(served[2], 10);
  EXPECT_EQ(served[3], 20);
}

// The scheduler with a real page pool and a toy runtime: random arrivals, prompts, cancellations.
class RandomLoad {
 public:
  explicit RandomLoad(uint64_t seed) : rng_(seed) {
    options_.max_batch_tokens = Draw(1, 40);
    options_.max_running = Draw(1, 6);
    options_.max_overtaken = Draw(0, 4);
    cache::KvLayout layout;
    layout.num_layers = 1;
    layout.latent_row = 1;
    pool_ = std::move(*cache::BlockPool::Create(layout, kPages));
    scheduler_ = std::make_unique<Scheduler>(options_);
  }

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
      if (Draw(0, 3) == 0) Arrive();
      if (Draw(0, 9) == 0) CancelAny();
      Step();
    }
    // No starvation: without further arrivals everything ends.
    for (int step = 0; !live_.empty() && !testing::Test::HasFatalFailure(); ++step) {
      ASSERT_LT(step, 100000) << live_.size() << " sequences never end";
      Step();
    }
    EXPECT_EQ(pool_->counts().free, kPages);
    EXPECT_EQ(pool_->counts().reserved, 0);
    EXPECT_EQ(scheduler_->num_running() + scheduler_->num_waiting(), 0);
  }

 private:
  static constexpr int64_t kPages = 10;
  struct Toy {
    int64_t prompt = 0;
    int64_t answer = 0;
    int64_t pages = 0;
    bool admitted = false;
    cache::Reservation reservation;
    std::vector<cache::PageHandle> held;
  };

  int Draw(int low, int high) { return std::uniform_int_distribution(low, high)(rng_); }

  void Arrive() {
    Toy toy;
    toy.prompt = Draw(1, 200);
    toy.answer = Draw(1, 10);
    toy.pages = Draw(1, kPages);
    live_[++last_id_] = std::move(toy);
    scheduler_->Enqueue(last_id_, Draw(0, 2));
  }

  void CancelAny() {
    if (live_.empty()) return;
    const auto victim = std::next(live_.begin(), Draw(0, static_cast<int>(live_.size()) - 1));
    scheduler_->Remove(victim->first);
    live_.erase(victim);  // frees at once
  }

  Admission TryAdmit(SequenceId id) {
    Toy& toy = live_.at(id);
    auto reservation = pool_->Reserve(toy.pages);
    if (!reservation.ok()) return Admission::kNoRoom;
    toy.reservation = std::move(*reservation);
    toy.admitted = true;
    return Admission::kAdmitted;
  }

  void Step() {
    scheduler_->AdmitWaiting([&](SequenceId id) { return TryAdmit(id); });
    for (auto& [id, toy] : live_) {
      if (toy.admitted && toy.held.empty()) {
        while (toy.reservation.remaining() > 0)
          toy.held.push_back(pool_->Allocate(toy.reservation));
        scheduler_->SetPrefill(id, toy.prompt);
      }
    }
    ASSERT_LE(scheduler_->num_running(), options_.max_running);
    const bool has_work = scheduler_->num_running() > 0;
    const StepPlan plan = scheduler_->PlanStep();
    ASSERT_EQ(plan.sequences.empty(), !has_work);
    int64_t tokens = 0;
    std::map<SequenceId, int> seen;
    for (const PlannedSequence& one : plan.sequences) {
      tokens += one.num_tokens;
      ASSERT_GE(one.num_tokens, 1);
      ASSERT_EQ(++seen[one.id], 1);
      ASSERT_TRUE(live_.contains(one.id));
      Advance(one);
    }
    ASSERT_LE(tokens, options_.max_batch_tokens);
    int64_t referenced = 0;
    for (const auto& [id, toy] : live_) referenced += static_cast<int64_t>(toy.held.size());
    ASSERT_EQ(pool_->counts().referenced, referenced);
  }

  void Advance(const PlannedSequence& one) {
    Toy& toy = live_.at(one.id);
    if (toy.prompt > 0) {
      ASSERT_LE(one.num_tokens, toy.prompt);
      toy.prompt -= one.num_tokens;
      if (toy.prompt > 0) return scheduler_->SetPrefill(one.id, toy.prompt);
    } else {
      ASSERT_EQ(one.num_tokens, 1);
      --toy.answer;
    }
    if (toy.answer > 0) return scheduler_->SetDecode(one.id);
    scheduler_->Remove(one.id);
    live_.erase(one.id);
  }

  std::mt19937_64 rng_;
  SchedulerOptions options_;
  std::unique_ptr<cache::BlockPool> pool_;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<SequenceId, Toy> live_;
  SequenceId last_id_ = 0;
};

TEST(SchedulerTest, RandomLoadsKeepEveryInvariant) {
  const uint64_t first = std::random_device{}();
  for (uint64_t seed = first; seed < first + 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomLoad(seed).Run(400);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace lectern::scheduler
