#include "services/cli/job_stream.h"

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"

namespace lectern::cli {

absl::Status FollowJob(Client& client, const std::string& job, const FollowOptions& options,
                       const std::function<bool(const v1::AnswerEvent&)>& receive) {
  using std::chrono::steady_clock;
  int64_t last_seq = options.after_seq;
  bool ended = false;
  absl::Status fault;
  const auto on_event = [&](const v1::AnswerEvent& event) {
    if (event.seq() != last_seq + 1) {
      fault = absl::DataLossError(
          absl::StrCat(job, ": event ", event.seq(), " came after event ", last_seq));
      return false;
    }
    last_seq = event.seq();
    ended = !receive(event) || event.event_case() == v1::AnswerEvent::kJobState;
    return !ended;
  };
  auto lost_since = steady_clock::now();
  for (;;) {
    v1::WatchJobRequest request;
    request.set_name(job);
    request.set_after_seq(last_seq);
    const int64_t seq_before = last_seq;
    const auto asked = steady_clock::now();
    const absl::Status status = client.WatchJob(request, on_event);
    if (!fault.ok()) return fault;
    // An OK end without the last event: the job had ended before after_seq.
    if (ended || status.ok()) return absl::OkStatus();
    if (!absl::IsUnavailable(status) || client.embedded()) return status;
    // A call that lived for a while was connected, even if nothing came.
    if (last_seq != seq_before || steady_clock::now() - asked > std::chrono::seconds(1)) {
      lost_since = steady_clock::now();
    }
    const std::chrono::duration<double> lost = steady_clock::now() - lost_since;
    if (lost.count() > options.reconnect_seconds) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    // No server yet is no error yet: the next round tries again.
    [[maybe_unused]] const absl::Status found = client.Reconnect();
  }
}

}  // namespace lectern::cli
