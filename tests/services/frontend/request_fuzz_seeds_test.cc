// The fuzz entry for requests, on seeds: runs in every build.
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include "lectern/v1/services.pb.h"
#include "tests/fuzz/seeded_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lectern::frontend {
namespace {

void Try(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

TEST(RequestFuzz, SeededRequests) {
  constexpr uint64_t kSeed = 20261122;
  SCOPED_TRACE(kSeed);
  google::protobuf::SetLogHandler(nullptr);  // a line for each input that is not UTF-8
  v1::CreateJobRequest job;
  job.add_documents("documents/abc");
  job.add_questions()->set_text("What is said of tolls?");
  job.mutable_options()->mutable_sampling()->set_temperature(0.7);
  job.mutable_options()->mutable_sampling()->set_top_p(0.9);
  job.mutable_options()->mutable_sampling()->add_stop("\n\n");
  job.set_request_id("123e4567-e89b-12d3-a456-426614174000");
  v1::ConverseRequest converse;
  converse.set_session("sessions/abc");
  converse.set_message("And then?");
  *converse.mutable_options() = job.options();
  fuzz::RunSeededInputs(std::string(1, '\0') + job.SerializeAsString(), kSeed, 20'000, Try);
  fuzz::RunSeededInputs(std::string(1, '\1') + converse.SerializeAsString(), kSeed, 20'000, Try);
  fuzz::RunSeededInputs("\4sessions/abc/turns/12", kSeed, 20'000, Try);
  fuzz::RunSeededInputs(
      "\4"
      "1616263",
      kSeed, 20'000, Try);
}

}  // namespace
}  // namespace lectern::frontend
