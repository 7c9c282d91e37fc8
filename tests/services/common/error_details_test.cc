// Errors keep their code, message and every detail on the way to the wire and back.
#include "services/common/error_details.h"

#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include "services/common/grpc_status.h"

namespace lectern::common {
namespace {

TEST(ErrorDetails, EveryErrorCarriesErrorInfo) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status plain(static_cast<absl::StatusCode>(code), "why");
    const google::rpc::Status rpc = ToRpcStatus(plain);
    ASSERT_EQ(rpc.code(), code);
    ASSERT_EQ(rpc.details_size(), 1);
    google::rpc::ErrorInfo info;
    ASSERT_TRUE(GetErrorInfo(FromRpcStatus(rpc), &info));
    EXPECT_EQ(info.domain(), "lectern");
    EXPECT_EQ(info.reason(), CodeName(plain.code()));
  }
}

TEST(ErrorDetails, GrpcRoundTripKeepsCodeMessageAndDetails) {
  FieldViolations violations;
  violations.Add("options.sampling.top_p", "must be between 0 and 1");
  violations.Add("documents[2]", "is not a document name");
  const absl::Status error = violations.ToStatus();
  const grpc::Status wire = ToGrpcStatus(error);
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const absl::Status back = FromGrpcStatus(wire);
  EXPECT_EQ(back.code(), error.code());
  EXPECT_EQ(back.message(), error.message());
  google::rpc::BadRequest bad;
  ASSERT_TRUE(GetBadRequest(back, &bad));
  ASSERT_EQ(bad.field_violations_size(), 2);
  EXPECT_EQ(bad.field_violations(0).field(), "options.sampling.top_p");
  EXPECT_EQ(bad.field_violations(1).field(), "documents[2]");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(GetErrorInfo(back, &info));
  EXPECT_EQ(info.reason(), "BAD_REQUEST");
}

TEST(ErrorDetails, OverloadSaysWhenToComeBack) {
  const absl::Status error =
      Overloaded("QUEUE_FULL", "too many turns", std::chrono::milliseconds(1500), {{"limit", "8"}});
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(GetRetryInfo(FromGrpcStatus(ToGrpcStatus(error)), &retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(GetErrorInfo(error, &info));
  EXPECT_EQ(info.metadata().at("limit"), "8");
}

TEST(ErrorDetails, NothingToReportIsOk) {
  EXPECT_TRUE(FieldViolations().ToStatus().ok());
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(ErrorDetails, ForeignStatusWithBrokenDetailsKeepsCodeAndMessage) {
  const grpc::Status foreign(grpc::StatusCode::UNAVAILABLE, "gone", "\xff\xff not a message");
  const absl::Status status = FromGrpcStatus(foreign);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "gone");
}

}  // namespace
}  // namespace lectern::common
