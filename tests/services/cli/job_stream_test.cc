#include "services/cli/job_stream.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/services/cli/fake_client.h"

namespace lectern::cli {
namespace {

v1::AnswerEvent Delta(int64_t seq) {
  v1::AnswerEvent event;
  event.set_seq(seq);
  event.mutable_text_delta()->set_text("t");
  return event;
}

v1::AnswerEvent Last(int64_t seq) {
  v1::AnswerEvent event;
  event.set_seq(seq);
  event.set_job_state(v1::JOB_STATE_SUCCEEDED);
  return event;
}

// Sends events behind after_seq, and loses the connection after each `break_every` of them.
class JobServer final : public FakeClient {
 public:
  explicit JobServer(std::vector<v1::AnswerEvent> events) : events_(std::move(events)) {}
  absl::Status WatchJob(const v1::WatchJobRequest& request,
                        const Receive<v1::AnswerEvent>& receive) override {
    int sent = 0;
    for (const v1::AnswerEvent& event : events_) {
      if (event.seq() <= request.after_seq()) continue;
      if (break_every > 0 && sent == break_every) return absl::UnavailableError("lost");
      ++sent;
      if (!receive(event)) return absl::OkStatus();
    }
    return absl::OkStatus();
  }
  int break_every = 0;

 private:
  std::vector<v1::AnswerEvent> events_;
};

std::vector<int64_t> Follow(JobServer& server, int64_t after_seq, absl::Status* status) {
  std::vector<int64_t> seen;
  *status = FollowJob(server, "jobs/1", {.after_seq = after_seq, .reconnect_seconds = 5},
                      [&](const v1::AnswerEvent& event) {
                        seen.push_back(event.seq());
                        return true;
                      });
  return seen;
}

TEST(JobStreamTest, LostConnectionsLeaveNoGap) {
  JobServer server({Delta(1), Delta(2), Delta(3), Delta(4), Last(5)});
  server.break_every = 2;
  absl::Status status;
  EXPECT_EQ(Follow(server, 0, &status), (std::vector<int64_t>{1, 2, 3, 4, 5}));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(server.reconnects, 2);
}

TEST(JobStreamTest, StartsAfterTheGivenEvent) {
  JobServer server({Delta(1), Delta(2), Last(3)});
  absl::Status status;
  EXPECT_EQ(Follow(server, 2, &status), (std::vector<int64_t>{3}));
  EXPECT_TRUE(status.ok()) << status;
}

TEST(JobStreamTest, GapsAndRepeatsAreDataLoss) {
  absl::Status status;
  JobServer gap({Delta(1), Delta(3), Last(4)});
  EXPECT_EQ(Follow(gap, 0, &status), (std::vector<int64_t>{1}));
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  JobServer repeat({Delta(1), Delta(1), Last(2)});
  EXPECT_EQ(Follow(repeat, 0, &status), (std::vector<int64_t>{1}));
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

}  // namespace
}  // namespace lectern::cli
