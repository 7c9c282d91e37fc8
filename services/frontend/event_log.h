#pragma once
// The durable events of jobs and turns. An event is stored before anybody sees it; sequence numbers
// start at 1 and have no gaps; a stream ends with its terminal event. Whoever reads pulls: an
// append never waits for a reader, and a reader that falls behind the short tail in memory reads on
// from the store.

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/metrics.h"
#include "lectern/v1/resources.pb.h"
#include "services/state/state_store.h"

namespace lectern::frontend {

using EventPtr = std::shared_ptr<const v1::AnswerEvent>;

// One job's or turn's events. Thread safe.
class EventStream {
 public:
  // What is to be written in the same atomic write, given the sequence number of the last event.
  using Companions = std::function<std::vector<state::Mutation>(int64_t last_seq)>;

  EventStream(state::StateStore& store, base::Metrics& metrics, std::string name, int64_t last_seq,
              bool ended);

  // Numbers `events`, stores them, then shows them. All or nothing; on an error nothing is visible.
  // FailedPrecondition: the stream has ended.
  absl::Status Append(std::vector<v1::AnswerEvent> events, state::Durability durability,
                      const Companions& companions = nullptr);

  struct Batch {
    std::vector<EventPtr> events;
    bool ended = false;  // nothing will come after `events`
  };
  // Events with seq > after_seq that are visible now, at most `limit`. The error that closed the
  // stream, if any.
  absl::StatusOr<Batch> Read(int64_t after_seq, size_t limit) const;

  // Calls `wake` once when there is an event after `after_seq`, or the end; at once (in this call)
  // where there is. On the appender's thread: must not block. Returns a ticket for Forget, 0 where
  // it was called at once.
  uint64_t WakeAfter(int64_t after_seq, std::function<void()> wake);
  // After Forget the wake of this ticket does not begin.
  void Forget(uint64_t ticket);

  // False where the stream has not ended (or been closed) within `timeout`. Blocks: not for RPC
  // threads.
  bool WaitForEnd(std::chrono::nanoseconds timeout);

  // Readers get `error` after what they can still read; used when the resource is deleted or its
  // run broke off.
  void Close(absl::Status error);

  const std::string& name() const { return name_; }
  int64_t last_seq() const;
  bool ended() const;

 private:
  absl::StatusOr<Batch> ReadStore(int64_t after_seq, size_t limit, int64_t last_seq,
                                  bool ended) const;
  void WakeAll();

  state::StateStore& store_;
  base::Metrics& metrics_;
  const std::string name_;
  std::mutex append_mutex_;  // held over the write to the store; never taken by readers
  mutable std::mutex mutex_;
  int64_t last_seq_ = 0;
  bool ended_ = false;
  absl::Status closed_;
  std::deque<EventPtr> tail_;  // the newest events
  uint64_t next_ticket_ = 1;
  std::map<uint64_t, std::function<void()>> waiting_;
  std::condition_variable end_;
};

// Thread safe. Streams of one name are one object while anybody holds it.
class EventLog {
 public:
  // Both must outlive the log and its streams.
  EventLog(state::StateStore& store, base::Metrics& metrics);

  // A stream without events is new. The state store's error otherwise.
  absl::StatusOr<std::shared_ptr<EventStream>> Open(const std::string& name);
  // Deletions of every stored event, for the caller's own write, which is followed by Remove.
  absl::StatusOr<std::vector<state::Mutation>> Deletions(const std::string& name) const;
  // Readers of the stream get `error`; the next Open makes a new stream of that name.
  void Remove(const std::string& name, absl::Status error);
  // Every stored event in order; for resuming and copying.
  absl::StatusOr<std::vector<v1::AnswerEvent>> ReadAll(const std::string& name) const;
  // The mutation that stores `event` (with its seq) in stream `name`; for copying whole streams.
  static state::Mutation Stored(const std::string& name, const v1::AnswerEvent& event);

 private:
  state::StateStore& store_;
  base::Metrics& metrics_;
  std::array<std::mutex, 32> stripes_;  // by hash of the name: held while a stream is opened
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<EventStream>> streams_;
};

// Whether `event` is the last one of stream `name`: a job's state, a turn's answer.
bool EndsStream(std::string_view name, const v1::AnswerEvent& event);

}  // namespace lectern::frontend
