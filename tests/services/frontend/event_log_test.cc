// Events are numbered without gaps, stored before they are seen, and never held up by a reader.
#include "services/frontend/event_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/base/metrics.h"
#include "services/state/memory_state_store.h"

namespace lectern::frontend {
namespace {

class EventLogTest : public ::testing::Test {
 protected:
  static std::vector<v1::AnswerEvent> Text(const std::string& text) {
    std::vector<v1::AnswerEvent> events(1);
    events[0].mutable_text_delta()->set_text(text);
    return events;
  }
  std::shared_ptr<EventStream> Open(const std::string& name = "jobs/j") {
    auto stream = log_.Open(name);
    EXPECT_TRUE(stream.ok()) << stream.status();
    return *stream;
  }

  state::MemoryStateStore store_;
  base::NoMetrics metrics_;
  EventLog log_{store_, metrics_};
};

TEST_F(EventLogTest, NumbersGoOnAfterReopening) {
  ASSERT_TRUE(Open()->Append(Text("a"), state::Durability::kLogged).ok());
  ASSERT_TRUE(Open()->Append(Text("b"), state::Durability::kLogged).ok());
  EventLog other(store_, metrics_);  // another process
  const auto stream = *other.Open("jobs/j");
  EXPECT_EQ(stream->last_seq(), 2);
  ASSERT_TRUE(stream->Append(Text("c"), state::Durability::kLogged).ok());
  const auto events = *other.ReadAll("jobs/j");
  ASSERT_EQ(events.size(), 3U);
  for (size_t i = 0; i < events.size(); ++i)
    EXPECT_EQ(events[i].seq(), static_cast<int64_t>(i) + 1);
}

TEST_F(EventLogTest, WhatIsNotStoredIsNotSeen) {
  const auto stream = Open();
  store_.FailWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_TRUE(absl::IsResourceExhausted(stream->Append(Text("a"), state::Durability::kSynced)));
  EXPECT_TRUE(stream->Read(0, 10)->events.empty());
  store_.FailWrites(absl::OkStatus());
  ASSERT_TRUE(stream->Append(Text("b"), state::Durability::kSynced).ok());
  const auto batch = *stream->Read(0, 10);
  ASSERT_EQ(batch.events.size(), 1U);
  EXPECT_EQ(batch.events[0]->seq(), 1);
  EXPECT_EQ(batch.events[0]->text_delta().text(), "b");
}

TEST_F(EventLogTest, CompanionsAreWrittenWithTheEventsOrNotAtAll) {
  const auto stream = Open();
  const auto companions = [](int64_t last_seq) {
    return std::vector<state::Mutation>{{"record", std::to_string(last_seq)}};
  };
  store_.FailWrites(absl::UnavailableError("no"));
  EXPECT_FALSE(stream->Append(Text("a"), state::Durability::kSynced, companions).ok());
  EXPECT_TRUE(absl::IsNotFound(store_.Get("record").status()));
  store_.FailWrites(absl::OkStatus());
  ASSERT_TRUE(stream->Append(Text("a"), state::Durability::kSynced, companions).ok());
  EXPECT_EQ(*store_.Get("record"), "1");
}

TEST_F(EventLogTest, AReaderFarBehindReadsFromTheStore) {
  const auto stream = Open();
  for (int i = 1; i <= 1000; ++i) {
    ASSERT_TRUE(stream->Append(Text(std::to_string(i)), state::Durability::kLogged).ok());
  }
  int64_t seq = 0;
  while (true) {
    const auto batch = *stream->Read(seq, 64);
    if (batch.events.empty()) break;
    for (const EventPtr& event : batch.events) {
      ASSERT_EQ(event->seq(), ++seq);
      ASSERT_EQ(event->text_delta().text(), std::to_string(seq));
    }
  }
  EXPECT_EQ(seq, 1000);
}

TEST_F(EventLogTest, EndsWithItsTerminalEvent) {
  const auto job = Open("jobs/j");
  const auto turn = Open("sessions/s/turns/1");
  std::vector<v1::AnswerEvent> finished(1);
  finished[0].mutable_finished()->set_done(true);
  ASSERT_TRUE(job->Append(finished, state::Durability::kSynced).ok());
  EXPECT_FALSE(job->ended());  // other questions may follow
  ASSERT_TRUE(turn->Append(finished, state::Durability::kSynced).ok());
  EXPECT_TRUE(turn->ended());
  std::vector<v1::AnswerEvent> state(1);
  state[0].set_job_state(v1::JOB_STATE_SUCCEEDED);
  ASSERT_TRUE(job->Append(state, state::Durability::kSynced).ok());
  EXPECT_TRUE(job->Read(0, 10)->ended);
  EXPECT_TRUE(job->Read(2, 10)->ended);
  EXPECT_TRUE(absl::IsFailedPrecondition(job->Append(Text("late"), state::Durability::kLogged)));
}

TEST_F(EventLogTest, WakesOnceForWhatIsNew) {
  const auto stream = Open();
  int woken = 0;
  stream->WakeAfter(0, [&] { ++woken; });
  EXPECT_EQ(woken, 0);
  ASSERT_TRUE(stream->Append(Text("a"), state::Durability::kLogged).ok());
  EXPECT_EQ(woken, 1);
  ASSERT_TRUE(stream->Append(Text("b"), state::Durability::kLogged).ok());
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(stream->WakeAfter(1, [&] { ++woken; }), 0U);  // there is news already
  EXPECT_EQ(woken, 2);
  const uint64_t ticket = stream->WakeAfter(2, [&] { ++woken; });
  stream->Forget(ticket);
  ASSERT_TRUE(stream->Append(Text("c"), state::Durability::kLogged).ok());
  EXPECT_EQ(woken, 2);
}

TEST_F(EventLogTest, RemovedStreamsTellTheirReadersAndStartAnew) {
  const auto stream = Open();
  ASSERT_TRUE(stream->Append(Text("a"), state::Durability::kLogged).ok());
  ASSERT_TRUE(store_.Write(*log_.Deletions("jobs/j"), state::Durability::kSynced).ok());
  bool woken = false;
  stream->WakeAfter(1, [&] { woken = true; });
  log_.Remove("jobs/j", absl::NotFoundError("deleted"));
  EXPECT_TRUE(woken);
  EXPECT_TRUE(absl::IsNotFound(stream->Read(1, 10).status()));
  EXPECT_EQ(Open()->last_seq(), 0);
}

// A reader that does nothing costs the writer nothing; readers at any pace see every event once.
TEST_F(EventLogTest, ReadersAtAnyPaceSeeEverything) {
  const auto stream = Open();
  constexpr int kEvents = 3000;
  std::atomic<int> complete{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 4; ++r) {
    readers.emplace_back([&, r] {
      int64_t seq = 0;
      while (seq < kEvents) {
        const auto batch = stream->Read(seq, static_cast<size_t>(1 + r * 40));
        ASSERT_TRUE(batch.ok());
        for (const EventPtr& event : batch->events) ASSERT_EQ(event->seq(), ++seq);
      }
      ++complete;
    });
  }
  for (int i = 0; i < kEvents; ++i) {
    ASSERT_TRUE(stream->Append(Text("x"), state::Durability::kLogged).ok());
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(complete, 4);
}

TEST_F(EventLogTest, ADamagedEventIsReportedNotSkipped) {
  ASSERT_TRUE(Open()->Append(Text("a"), state::Durability::kLogged).ok());
  ASSERT_TRUE(Open()->Append(Text("b"), state::Durability::kLogged).ok());
  v1::AnswerEvent first;
  first.set_seq(1);
  ASSERT_TRUE(store_
                  .Write({{EventLog::Stored("jobs/j", first).key, std::nullopt}},
                         state::Durability::kSynced)
                  .ok());
  EXPECT_EQ(log_.Open("jobs/j").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace lectern::frontend
