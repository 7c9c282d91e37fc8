#pragma once
// Callbacks that keep everything, and a wait for the end.

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace lectern::runtime {

struct CollectedAnswer {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<TokenEvent> events;
  std::vector<Finished> finished;

  std::vector<int32_t> tokens() {
    const std::lock_guard lock(mutex);
    std::vector<int32_t> ids;
    for (const TokenEvent& event : events) ids.push_back(event.token_id);
    return ids;
  }
  Finished Wait() {
    std::unique_lock lock(mutex);
    // A bound against hanging for ever, not a measurement.
    if (!changed.wait_for(lock, std::chrono::seconds(60), [&] { return !finished.empty(); })) {
      ADD_FAILURE() << "the request never ended";
      return {};
    }
    return finished.front();
  }
  void AwaitTokens(std::size_t count) {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60),
                                 [&] { return events.size() >= count || !finished.empty(); }));
  }
};

using Answer = std::shared_ptr<CollectedAnswer>;

// Submits; `id` may be null. A refusal is a test failure.
inline Answer Ask(Engine& engine, Request request, RequestId* id = nullptr) {
  auto answer = std::make_shared<CollectedAnswer>();
  RequestCallbacks callbacks;
  callbacks.on_token = [answer](const TokenEvent& event) {
    const std::lock_guard lock(answer->mutex);
    EXPECT_TRUE(answer->finished.empty()) << "a token after the end";
    answer->events.push_back(event);
    answer->changed.notify_all();
  };
  callbacks.on_finished = [answer](const Finished& finished) {
    const std::lock_guard lock(answer->mutex);
    answer->finished.push_back(finished);
    EXPECT_EQ(answer->finished.size(), 1U);
    answer->changed.notify_all();
  };
  const auto submitted = engine.Submit(std::move(request), std::move(callbacks));
  EXPECT_TRUE(submitted.ok()) << submitted.status();
  if (submitted.ok() && id != nullptr) *id = *submitted;
  return answer;
}

}  // namespace lectern::runtime
