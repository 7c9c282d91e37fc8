// Every field of a request is checked, and all that is wrong is said at once.
#include "services/frontend/request_checks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>

namespace lectern::frontend {
namespace {

v1::CreateJobRequest GoodJob() {
  v1::CreateJobRequest request;
  request.add_documents("documents/d1");
  request.add_questions()->set_text("When?");
  return request;
}

std::set<std::string> BadFields(const absl::Status& status) {
  google::rpc::BadRequest bad;
  std::set<std::string> fields;
  if (!common::GetBadRequest(status, &bad)) return fields;
  for (const auto& violation : bad.field_violations()) fields.insert(violation.field());
  return fields;
}

TEST(RequestChecks, AGoodJobPasses) { EXPECT_TRUE(CheckCreateJob(GoodJob()).ok()); }

TEST(RequestChecks, EachBadFieldIsNamed) {
  using Spoil = std::function<void(v1::CreateJobRequest&)>;
  const auto sampling = [](v1::CreateJobRequest& r) {
    return r.mutable_options()->mutable_sampling();
  };
  const std::vector<std::pair<std::string, Spoil>> cases = {
      {"request_id", [](auto& r) { r.set_request_id("not a uuid"); }},
      {"documents", [](auto& r) { r.clear_documents(); }},
      {"documents[0]", [](auto& r) { r.set_documents(0, "jobs/d1"); }},
      {"documents[1]", [](auto& r) { r.add_documents("documents/d1"); }},
      {"questions", [](auto& r) { r.clear_questions(); }},
      {"questions[0].text", [](auto& r) { r.mutable_questions(0)->set_text(" \n"); }},
      {"questions[0].text", [](auto& r) { r.mutable_questions(0)->set_text("\xff\xfe"); }},
      {"questions[0].text",
       [](auto& r) { r.mutable_questions(0)->set_text(std::string(70'000, 'a')); }},
      {"questions[0].id", [](auto& r) { r.mutable_questions(0)->set_id(std::string(300, 'a')); }},
      {"options.evidence", [](auto& r) { r.mutable_options()->set_evidence(1000); }},
      {"options.sampling.temperature", [&](auto& r) { sampling(r)->set_temperature(-1); }},
      {"options.sampling.temperature",
       [&](auto& r) { sampling(r)->set_temperature(std::nan("")); }},
      {"options.sampling.temperature",
       [&](auto& r) { sampling(r)->set_temperature(std::numeric_limits<double>::infinity()); }},
      {"options.sampling.top_p", [&](auto& r) { sampling(r)->set_top_p(1.5); }},
      {"options.sampling.top_k", [&](auto& r) { sampling(r)->set_top_k(-1); }},
      {"options.sampling.min_p", [&](auto& r) { sampling(r)->set_min_p(1); }},
      {"options.sampling.repetition_penalty",
       [&](auto& r) { sampling(r)->set_repetition_penalty(-2); }},
      {"options.sampling.max_new_tokens", [&](auto& r) { sampling(r)->set_max_new_tokens(-1); }},
      {"options.sampling.logprobs", [&](auto& r) { sampling(r)->set_logprobs(-1); }},
      {"options.sampling.logprobs", [&](auto& r) { sampling(r)->set_logprobs(21); }},
      {"options.sampling.stop", [&](auto& r) { sampling(r)->add_stop(""); }},
      {"options.sampling.stop", [&](auto& r) { sampling(r)->add_stop("\xff"); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::CreateJobRequest request = GoodJob();
    spoil(request);
    EXPECT_EQ(BadFields(CheckCreateJob(request)), std::set<std::string>{field});
  }
}

TEST(RequestChecks, ListsAreBounded) {
  v1::CreateJobRequest request = GoodJob();
  for (int i = 0; i < 5000; ++i) request.add_questions()->set_text("q");
  for (int i = 0; i < 100; ++i) request.add_documents("documents/" + std::to_string(i));
  EXPECT_EQ(BadFields(CheckCreateJob(request)), (std::set<std::string>{"documents", "questions"}));
}

TEST(RequestChecks, AllThatIsWrongIsSaidAtOnce) {
  v1::ConverseRequest request;
  request.set_session("nonsense");
  request.mutable_options()->mutable_sampling()->set_top_p(7);
  EXPECT_EQ(BadFields(CheckConverse(request)),
            (std::set<std::string>{"session", "message", "options.sampling.top_p"}));
}

TEST(RequestChecks, Uploads) {
  v1::StartUploadRequest request;
  EXPECT_TRUE(CheckStartUpload(request).ok());
  request.set_size(-1);
  request.set_display_name(std::string(5000, 'x'));
  EXPECT_EQ(BadFields(CheckStartUpload(request)), (std::set<std::string>{"size", "display_name"}));
}

}  // namespace
}  // namespace lectern::frontend
