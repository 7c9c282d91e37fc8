#pragma once
// A tier in memory, whose contents outlive it and whose loads can be held up or made to fail.

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "engine/cache/page_tier.h"

namespace lectern::runtime {

class MemoryTier final : public cache::PageTier {
 public:
  struct State {
    std::mutex mutex;
    std::map<cache::PageKey, std::pair<cache::PageIdentity, std::vector<std::byte>>> pages;
    // What the n-th load from now ends with, instead of what is stored.
    std::deque<cache::LoadOutcome> outcomes;
    bool hold_loads = false;
    bool hold_stores = false;
    int64_t failures = 0;
    int64_t cancelled_loads = 0;
    MemoryTier* tier = nullptr;
  };

  explicit MemoryTier(State& state) : state_(state) { state_.tier = this; }
  ~MemoryTier() override { state_.tier = nullptr; }

  bool Contains(const cache::PageKey& key) const override {
    const std::lock_guard lock(state_.mutex);
    return state_.pages.contains(key);
  }
  void Store(const cache::PageIdentity& identity, cache::PageHandle page) override {
    const std::lock_guard lock(state_.mutex);
    if (state_.hold_stores) {
      held_stores_.push_back(std::move(page));
      return;
    }
    const auto bytes = page.bytes();
    state_.pages[identity.key] = {identity, {bytes.begin(), bytes.end()}};
  }
  void Load(std::vector<cache::PageLoad> loads) override {
    {
      const std::lock_guard lock(state_.mutex);
      for (auto& load : loads) loads_.push_back(std::move(load));
      if (state_.hold_loads) return;
    }
    RunLoads();
  }
  void CancelLoads(uint64_t ticket) override {
    const std::lock_guard lock(state_.mutex);
    // All held loads count as started: they end when they are let go.
    for (const auto& load : loads_) state_.cancelled_loads += load.ticket == ticket ? 1 : 0;
  }
  std::vector<cache::LoadedPage> TakeLoaded() override {
    const std::lock_guard lock(state_.mutex);
    return std::exchange(loaded_, {});
  }
  void SetWake(std::function<void()> wake) override { wake_ = std::move(wake); }
  std::optional<base::Error> Flush() override { return std::nullopt; }
  cache::TierReport Verify() override { return {}; }
  base::Expected<int64_t> Clear() override {
    const std::lock_guard lock(state_.mutex);
    const auto count = static_cast<int64_t>(state_.pages.size());
    state_.pages.clear();
    return count;
  }
  cache::TierStats Stats() const override {
    const std::lock_guard lock(state_.mutex);
    cache::TierStats stats;
    stats.pages = static_cast<int64_t>(state_.pages.size());
    stats.integrity_failures = state_.failures;
    stats.idle = loads_.empty() && held_stores_.empty();
    return stats;
  }

  // For tests: what was held goes on, on the caller's thread.
  void RunLoads() {
    std::deque<cache::PageLoad> loads;
    {
      const std::lock_guard lock(state_.mutex);
      for (auto& load : loads_) loaded_.push_back({load.ticket, load.page_index, RunLocked(load)});
      loads = std::exchange(loads_, {});
      for (auto& load : loads) load.destination.reset();
    }
    if (wake_) wake_();
  }
  void LetStoresGo() {
    {
      const std::lock_guard lock(state_.mutex);
      state_.hold_stores = false;
      held_stores_.clear();
    }
    if (wake_) wake_();
  }

 private:
  cache::LoadOutcome RunLocked(cache::PageLoad& load) {
    if (!state_.outcomes.empty()) {
      const cache::LoadOutcome outcome = state_.outcomes.front();
      state_.outcomes.pop_front();
      if (outcome != cache::LoadOutcome::kLoaded) {
        ++state_.failures;
        state_.pages.erase(load.identity.key);
        // Half a page may have arrived before the fault.
        std::ranges::fill(load.destination.bytes().first(100), std::byte{0xee});
        return outcome;
      }
    }
    const auto found = state_.pages.find(load.identity.key);
    if (found == state_.pages.end()) return cache::LoadOutcome::kMissing;
    if (found->second.first != load.identity) return cache::LoadOutcome::kCollision;
    std::ranges::copy(found->second.second, load.destination.bytes().begin());
    return cache::LoadOutcome::kLoaded;
  }

  State& state_;
  std::function<void()> wake_;
  std::deque<cache::PageLoad> loads_;
  std::vector<cache::LoadedPage> loaded_;
  std::vector<cache::PageHandle> held_stores_;
};

}  // namespace lectern::runtime
