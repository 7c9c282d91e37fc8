#include "services/frontend/request_log.h"

#include <gtest/gtest.h>

#include "services/common/error_details.h"
#include "services/state/memory_state_store.h"

namespace lectern::frontend {
namespace {

constexpr char kId[] = "123e4567-e89b-12d3-a456-426614174000";

class RequestLogTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Call(const std::string& id, const std::string& request) {
    return log_.Once("Create", id, request,
                     [&](const RequestLog::Remember& remember) -> absl::StatusOr<std::string> {
                       const std::string reply = "reply " + std::to_string(++calls_);
                       std::vector<state::Mutation> mutations;
                       remember(reply, mutations);
                       const absl::Status stored =
                           store_.Write(mutations, state::Durability::kSynced);
                       if (!stored.ok()) return stored;
                       return reply;
                     });
  }
  base::ManualClock clock_;
  state::MemoryStateStore store_;
  RequestLog log_{store_, clock_};
  int calls_ = 0;
};

TEST_F(RequestLogTest, TheSameIdGivesTheSameReplyFor24Hours) {
  EXPECT_EQ(*Call(kId, "a"), "reply 1");
  EXPECT_EQ(*Call(kId, "a"), "reply 1");
  clock_.Advance(std::chrono::hours(23));
  EXPECT_EQ(*Call(kId, "a"), "reply 1");
  clock_.Advance(std::chrono::hours(2));
  EXPECT_EQ(*Call(kId, "a"), "reply 2");
}

TEST_F(RequestLogTest, WithoutAnIdEveryCallCounts) {
  EXPECT_EQ(*Call("", "a"), "reply 1");
  EXPECT_EQ(*Call("", "a"), "reply 2");
  EXPECT_EQ(store_.size(), 0U);
}

TEST_F(RequestLogTest, AnotherRequestUnderTheSameIdIsRefused) {
  ASSERT_TRUE(Call(kId, "a").ok());
  const absl::Status refused = Call(kId, "b").status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(common::GetErrorInfo(refused, &info));
  EXPECT_EQ(info.reason(), "REQUEST_ID_REUSED");
}

TEST_F(RequestLogTest, FailuresAreNotRemembered) {
  store_.FailWrites(absl::UnavailableError("no"));
  EXPECT_FALSE(Call(kId, "a").ok());
  store_.FailWrites(absl::OkStatus());
  EXPECT_EQ(*Call(kId, "a"), "reply 2");
}

TEST_F(RequestLogTest, SweepForgetsWhatIsOld) {
  ASSERT_TRUE(Call(kId, "a").ok());
  clock_.Advance(std::chrono::hours(1));
  ASSERT_TRUE(log_.Sweep().ok());
  EXPECT_EQ(store_.size(), 1U);
  clock_.Advance(std::chrono::hours(24));
  ASSERT_TRUE(log_.Sweep().ok());
  EXPECT_EQ(store_.size(), 0U);
}

}  // namespace
}  // namespace lectern::frontend
