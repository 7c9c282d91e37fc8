#include "services/frontend/event_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"
#include "services/frontend/state_keys.h"

namespace lectern::frontend {
namespace {

// Events kept in memory for readers that keep up. A reader further behind costs reads, never
// memory.
constexpr size_t kTailEvents = 128;

}  // namespace

bool EndsStream(std::string_view name, const v1::AnswerEvent& event) {
  if (event.has_job_state()) return true;
  return event.has_finished() && name.starts_with("sessions/");
}

EventStream::EventStream(state::StateStore& store, base::Metrics& metrics, std::string name,
                         int64_t last_seq, bool ended)
    : store_(store),
      metrics_(metrics),
      name_(std::move(name)),
      last_seq_(last_seq),
      ended_(ended) {}

absl::Status EventStream::Append(std::vector<v1::AnswerEvent> events, state::Durability durability,
                                 const Companions& companions) {
  const std::lock_guard appending(append_mutex_);
  int64_t seq = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!closed_.ok()) return closed_;
    if (ended_) return absl::FailedPreconditionError(absl::StrCat(name_, " has ended"));
    seq = last_seq_;
  }
  std::vector<state::Mutation> mutations;
  bool ends = false;
  for (v1::AnswerEvent& event : events) {
    LECTERN_CHECK(!ends);  // nothing comes after the terminal event
    event.set_seq(++seq);
    ends = EndsStream(name_, event);
    mutations.push_back(EventLog::Stored(name_, event));
  }
  if (companions) {
    for (state::Mutation& mutation : companions(seq)) mutations.push_back(std::move(mutation));
  }
  RETURN_IF_ERROR(store_.Write(mutations, durability));
  {
    const std::lock_guard lock(mutex_);
    last_seq_ = seq;
    ended_ = ends;
    for (v1::AnswerEvent& event : events) {
      tail_.push_back(std::make_shared<const v1::AnswerEvent>(std::move(event)));
    }
    while (tail_.size() > kTailEvents) tail_.pop_front();
  }
  WakeAll();
  return absl::OkStatus();
}

absl::StatusOr<EventStream::Batch> EventStream::Read(int64_t after_seq, size_t limit) const {
  int64_t last_seq = 0;
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    if (after_seq >= last_seq_) {
      if (!ended_ && !closed_.ok()) return closed_;
      return Batch{{}, ended_};
    }
    if (!tail_.empty() && tail_.front()->seq() <= after_seq + 1) {
      Batch batch;
      const auto skip = static_cast<size_t>(after_seq + 1 - tail_.front()->seq());
      const size_t end = std::min(tail_.size(), skip + limit);
      for (size_t i = skip; i < end; ++i) batch.events.push_back(tail_[i]);
      batch.ended = ended_ && end == tail_.size();
      return batch;
    }
    last_seq = last_seq_;
    ended = ended_;
  }
  metrics_.Add("lectern_watch_replays_total", 1, {});
  return ReadStore(after_seq, limit, last_seq, ended);
}

absl::StatusOr<EventStream::Batch> EventStream::ReadStore(int64_t after_seq, size_t limit,
                                                          int64_t last_seq, bool ended) const {
  Batch batch;
  bool damaged = false;
  int64_t expected = after_seq + 1;
  RETURN_IF_ERROR(store_.Scan(keys::Event(name_, expected), keys::Event(name_, last_seq + 1),
                              [&](std::string_view, std::string_view value) {
                                auto event = std::make_shared<v1::AnswerEvent>();
                                damaged = !event->ParseFromArray(value.data(),
                                                                 static_cast<int>(value.size())) ||
                                          event->seq() != expected;
                                if (damaged) return false;
                                ++expected;
                                batch.events.push_back(std::move(event));
                                return batch.events.size() < limit;
                              }));
  if (damaged || batch.events.empty()) {
    const std::lock_guard lock(mutex_);
    if (!closed_.ok()) return closed_;  // deleted while it was read
    return absl::DataLossError(absl::StrCat(name_, ": event ", expected, " is missing or damaged"));
  }
  batch.ended = ended && expected == last_seq + 1;
  return batch;
}

uint64_t EventStream::WakeAfter(int64_t after_seq, std::function<void()> wake) {
  {
    const std::lock_guard lock(mutex_);
    if (after_seq >= last_seq_ && !ended_ && closed_.ok()) {
      const uint64_t ticket = next_ticket_++;
      waiting_.emplace(ticket, std::move(wake));
      return ticket;
    }
  }
  wake();
  return 0;
}

void EventStream::Forget(uint64_t ticket) {
  std::function<void()> dropped;  // dies outside the lock
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) return;
  dropped = std::move(found->second);
  waiting_.erase(found);
}

void EventStream::WakeAll() {
  std::map<uint64_t, std::function<void()>> woken;
  {
    const std::lock_guard lock(mutex_);
    woken.swap(waiting_);
    if (ended_ || !closed_.ok()) end_.notify_all();
  }
  for (const auto& [ticket, wake] : woken) wake();
}

bool EventStream::WaitForEnd(std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  return end_.wait_for(lock, timeout, [this] { return ended_ || !closed_.ok(); });
}

void EventStream::Close(absl::Status error) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_.ok()) closed_ = std::move(error);
  }
  WakeAll();
}

int64_t EventStream::last_seq() const {
  const std::lock_guard lock(mutex_);
  return last_seq_;
}

bool EventStream::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

EventLog::EventLog(state::StateStore& store, base::Metrics& metrics)
    : store_(store), metrics_(metrics) {}

absl::StatusOr<std::shared_ptr<EventStream>> EventLog::Open(const std::string& name) {
  // Two calls must not make two streams of one name; calls for other names need not wait for the
  // scan.
  const std::lock_guard opening(stripes_[std::hash<std::string>()(name) % stripes_.size()]);
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(name);
    if (found != streams_.end()) {
      if (auto live = found->second.lock()) return live;
    }
  }
  int64_t last_seq = 0;
  bool gap = false;
  std::string last_value;
  RETURN_IF_ERROR(store_.Scan(keys::EventPrefix(name), state::PrefixEnd(keys::EventPrefix(name)),
                              [&](std::string_view key, std::string_view value) {
                                gap = key != keys::Event(name, last_seq + 1);
                                if (gap) return false;
                                ++last_seq;
                                last_value = value;
                                return true;
                              }));
  v1::AnswerEvent last;
  if (gap || !last.ParseFromString(last_value) || last.seq() != last_seq) {
    return absl::DataLossError(
        absl::StrCat(name, ": damaged or missing event near ", last_seq + 1));
  }
  auto stream = std::make_shared<EventStream>(store_, metrics_, name, last_seq,
                                              last_seq > 0 && EndsStream(name, last));
  const std::lock_guard lock(mutex_);
  // Names of streams that nobody holds any more do not pile up.
  std::erase_if(streams_, [](const auto& entry) { return entry.second.expired(); });
  streams_[name] = stream;
  return stream;
}

absl::StatusOr<std::vector<state::Mutation>> EventLog::Deletions(const std::string& name) const {
  std::vector<state::Mutation> mutations;
  RETURN_IF_ERROR(store_.Scan(keys::EventPrefix(name), state::PrefixEnd(keys::EventPrefix(name)),
                              [&](std::string_view key, std::string_view) {
                                mutations.push_back({std::string(key), std::nullopt});
                                return true;
                              }));
  return mutations;
}

void EventLog::Remove(const std::string& name, absl::Status error) {
  std::shared_ptr<EventStream> stream;
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(name);
    if (found == streams_.end()) return;
    stream = found->second.lock();
    streams_.erase(found);
  }
  if (stream) stream->Close(std::move(error));
}

absl::StatusOr<std::vector<v1::AnswerEvent>> EventLog::ReadAll(const std::string& name) const {
  std::vector<v1::AnswerEvent> events;
  bool damaged = false;
  RETURN_IF_ERROR(store_.Scan(keys::EventPrefix(name), state::PrefixEnd(keys::EventPrefix(name)),
                              [&](std::string_view, std::string_view value) {
                                v1::AnswerEvent& event = events.emplace_back();
                                damaged = !event.ParseFromArray(value.data(),
                                                                static_cast<int>(value.size())) ||
                                          event.seq() != static_cast<int64_t>(events.size());
                                return !damaged;
                              }));
  if (damaged) return absl::DataLossError(absl::StrCat(name, ": damaged event ", events.size()));
  return events;
}

state::Mutation EventLog::Stored(const std::string& name, const v1::AnswerEvent& event) {
  return {keys::Event(name, event.seq()), event.SerializeAsString()};
}

}  // namespace lectern::frontend
