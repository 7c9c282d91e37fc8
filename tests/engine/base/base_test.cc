#include <gtest/gtest.h>

#include <string>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"

namespace lectern::base {
namespace {

TEST(Sha256Test, EqualsThePublishedVectorsAndStartsAnew) {
  Sha256 hash;
  hash.Update("abc");
  EXPECT_EQ(ToHex(hash.Finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  hash.Update("");
  EXPECT_EQ(ToHex(hash.Finish()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

absl::StatusOr<int> Twice(absl::StatusOr<int> input) {
  ASSIGN_OR_RETURN(const int value, std::move(input));
  return 2 * value;
}

TEST(StatusTest, MacrosPassValuesAndErrorsOn) {
  EXPECT_EQ(*Twice(21), 42);
  EXPECT_EQ(Twice(absl::NotFoundError("gone")).status().code(), absl::StatusCode::kNotFound);
}

TEST(StatusTest, AnnotatePutsContextFirstAndKeepsPayloads) {
  absl::Status status = absl::DataLossError("bad checksum");
  status.SetPayload("key", absl::Cord("value"));
  const absl::Status annotated = Annotate(status, "page 7");
  EXPECT_EQ(annotated.message(), "page 7: bad checksum");
  EXPECT_EQ(*annotated.GetPayload("key"), "value");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "page 7").ok());
}

TEST(ErrorTest, CodesAreTheCanonicalOnes) {
  const absl::Status status = ToStatus(Error{Code::kResourceExhausted, "no pages"});
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(ToStatus(Error{Code::kDataLoss, ""}).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace lectern::base
