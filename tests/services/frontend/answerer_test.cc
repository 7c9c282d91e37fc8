// Text, stop strings, logprobs, evidence and metrics of one answer; a full engine queue; a failing
// engine.
#include "services/frontend/answerer.h"

#include <gtest/gtest.h>

#include "engine/tokenizer/utf8.h"
#include "services/frontend/answer_metrics.h"
#include "services/frontend/answer_text.h"
#include "tests/services/frontend/process.h"

namespace lectern::frontend {
namespace {

Received Ask(Process& process, World& world, const v1::AnswerOptions& options,
             std::vector<v1::AnswerEvent>* all = nullptr) {
  v1::CreateJobRequest request = JobRequest(world, {"When did trams stop?"});
  *request.mutable_options() = options;
  const auto job = process.jobs->Create(request);
  EXPECT_TRUE(job.ok()) << job.status();
  const auto stream = *process.events->Open(job->name());
  const auto events = ReadToEnd(*stream);
  if (all != nullptr) *all = events;
  return Receive(events, 0);
}

TEST(Answerer, StreamsTextAndEndsWithCitationAndEvidence) {
  World world;
  Process process(world);
  std::vector<v1::AnswerEvent> events;
  const Received received = Ask(process, world, {}, &events);
  EXPECT_EQ(received.text, "¶2 Trams ran until 1957. é When did trams stop?");
  EXPECT_EQ(received.finished, 1);
  const v1::Answer& answer = received.answer;
  EXPECT_EQ(answer.raw_text(), received.text);
  EXPECT_EQ(answer.text(), "Trams ran until 1957. é When did trams stop?");
  EXPECT_TRUE(answer.answered());
  EXPECT_EQ(answer.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(answer.scope(), v1::SCOPE_WHOLE);
  EXPECT_EQ(answer.usage().generated_tokens(), static_cast<int64_t>(received.ids.size()));
  EXPECT_GT(answer.usage().prompt_tokens(), 80);
  EXPECT_GT(answer.usage().ttft_seconds(), 0);
  ASSERT_EQ(answer.citations_size(), 1);
  EXPECT_EQ(answer.citations(0).text(), "Trams ran until 1957.");
  EXPECT_EQ(answer.citations(0).document(), world.document);
  EXPECT_EQ(answer.evidence_size(), 3);
  // The order that a client relies on.
  EXPECT_TRUE(events[0].has_started());
  EXPECT_TRUE(events[1].has_progress());
  EXPECT_TRUE(events.back().has_job_state());
  EXPECT_EQ(events.back().job_state(), v1::JOB_STATE_SUCCEEDED);
}

TEST(Answerer, NoEvidenceWhereNoneIsWanted) {
  World world;
  Process process(world);
  v1::AnswerOptions options;
  options.set_evidence(-1);
  EXPECT_EQ(Ask(process, world, options).answer.evidence_size(), 0);
  EXPECT_FALSE(process.worker->submitted()[0].record_selections);
}

TEST(Answerer, StopStringsEndTheAnswerAndAreNeverShown) {
  World world;
  Process process(world);
  v1::AnswerOptions options;
  options.mutable_sampling()->add_stop("until 19");
  const Received received = Ask(process, world, options);
  EXPECT_EQ(received.text, "¶2 Trams ran ");
  EXPECT_EQ(received.answer.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(received.answer.text(), "Trams ran");
}

TEST(Answerer, LengthLimitsAndLogprobs) {
  World world;
  Process process(world);
  v1::AnswerOptions options;
  options.mutable_sampling()->set_max_new_tokens(5);
  options.mutable_sampling()->set_logprobs(2);
  std::vector<v1::AnswerEvent> events;
  const Received received = Ask(process, world, options, &events);
  EXPECT_EQ(received.answer.finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(received.ids.size(), 5U);
  int logprobs = 0;
  for (const auto& event : events) logprobs += event.text_delta().logprobs_size();
  EXPECT_EQ(logprobs, 5 * 3);  // the chosen one and the two best, for each token
}

TEST(Answerer, CharactersAreNeverSplit) {
  World world;
  Process process(world);
  std::vector<v1::AnswerEvent> events;
  Ask(process, world, {}, &events);
  for (const auto& event : events) {
    if (event.has_text_delta()) {
      EXPECT_TRUE(tokenizer::IsValidUtf8(event.text_delta().text()));
    }
  }
}

TEST(Answerer, SaysWhatTheDocumentDoesNotHold) {
  World world;
  ProcessOptions options;
  options.script = [](const auto&) { return testing::Bytes(" Not stated in the document."); };
  Process process(world, std::move(options));
  const Received received = Ask(process, world, {});
  EXPECT_FALSE(received.answer.answered());
  EXPECT_EQ(received.answer.citations_size(), 0);
}

TEST(Answerer, AFullEngineQueueIsWaitedFor) {
  World world;
  Process process(world, {.run_freely = false});
  process.worker->RefuseNext(2);
  process.worker->RunFreely();
  EXPECT_EQ(Ask(process, world, {}).answer.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(process.worker->submitted().size(), 1U);
}

TEST(Answerer, AnEngineErrorIsTheAnswersError) {
  World world;
  Process process(world, {.run_freely = false});
  process.worker->FailWith(absl::DataLossError("page gone"));
  process.worker->RunFreely();
  std::vector<v1::AnswerEvent> events;
  const Received received = Ask(process, world, {}, &events);
  EXPECT_EQ(received.answer.finish_reason(), v1::FINISH_REASON_ERROR);
  EXPECT_EQ(received.answer.error().code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(events.back().job_state(), v1::JOB_STATE_FAILED);
}

TEST(Answerer, CountsWhatItDid) {
  World world;
  Process process(world);
  Ask(process, world, {});
  const std::string metrics = process.metrics.Exposition();
  for (const char* line :
       {"lectern_time_to_first_token_seconds_count{cache=\"miss\",model=\"fake\"} 1",
        "lectern_request_e2e_seconds_count{model=\"fake\"} 1"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  }
}

TEST(AnswerText, TheSameTokensGiveTheSameText) {
  const auto tokenizer = testing::ByteTokenizer();
  auto text = AnswerText::Create(*tokenizer, {"stop"});
  ASSERT_TRUE(text.ok());
  std::string out;
  for (const int32_t id : testing::Bytes("caf\xc3\xa9 st\xc3\xb6p, sto")) out += text->Push(id);
  EXPECT_EQ(out, "café stöp, ");  // "sto" may become the stop string
  out += text->Finish();
  EXPECT_EQ(out, "café stöp, sto");
  EXPECT_EQ(text->raw(), out);
}

TEST(CacheClass, NamesTheColdestTierThatCarriedTheWeight) {
  v1::Usage usage;
  usage.set_prompt_tokens(1000);
  EXPECT_EQ(CacheClass(usage), "miss");
  usage.set_cached_tokens_device(64);
  EXPECT_EQ(CacheClass(usage), "miss");  // one page of system text is no hit
  usage.set_cached_tokens_device(900);
  EXPECT_EQ(CacheClass(usage), "device");
  usage.set_cached_tokens_disk(64);
  EXPECT_EQ(CacheClass(usage), "disk");
}

}  // namespace
}  // namespace lectern::frontend
