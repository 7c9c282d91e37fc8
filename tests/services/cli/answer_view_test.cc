#include "services/cli/answer_view.h"

#include <gtest/gtest.h>

namespace lectern::cli {
namespace {

v1::Answer SampleAnswer() {
  v1::Answer answer;
  answer.set_question_id("q");
  answer.set_question("Who?");
  answer.set_text("The harbour master.");
  answer.set_answered(true);
  answer.set_scope(v1::SCOPE_WHOLE);
  v1::Passage& citation = *answer.add_citations();
  citation.set_document("documents/1");
  citation.set_page(3);
  citation.set_byte_begin(10);
  citation.set_byte_end(29);
  citation.set_text("The harbour\nmaster.");
  v1::Passage& evidence = *answer.add_evidence();
  evidence.set_document("documents/2");
  evidence.set_byte_end(5);
  evidence.set_text("Other");
  evidence.set_score(12.5);
  answer.mutable_usage()->set_prompt_tokens(100);
  answer.mutable_usage()->set_cached_tokens_disk(64);
  answer.mutable_usage()->set_generated_tokens(9);
  answer.mutable_usage()->set_ttft_seconds(0.25);
  answer.set_finish_reason(v1::FINISH_REASON_STOP);
  answer.set_done(true);
  return answer;
}

GivenDocuments SampleDocuments() {
  GivenDocuments documents;
  documents.names = {"documents/1", "documents/2"};
  documents.given_as = {{"documents/1", "manuals/a.pdf"}, {"documents/2", "b.md"}};
  return documents;
}

// The contract of `ask --json`, field by field and nothing else.
TEST(AnswerViewTest, JsonKeepsTheContract) {
  const auto json = AnswerJson("x1", SampleAnswer(), SampleDocuments());
  EXPECT_EQ(
      json.dump(),
      "{\"id\":\"x1\",\"question\":\"Who?\",\"answer\":\"The harbour master.\",\"answered\":true,"
      "\"scope\":\"whole\",\"citations\":[{\"document\":\"manuals/"
      "a.pdf\",\"page\":3,\"byte_begin\":10,"
      "\"byte_end\":29,\"quote\":\"The harbour\\nmaster.\"}],\"evidence\":[{\"document\":\"b.md\","
      "\"page\":null,\"byte_begin\":0,\"byte_end\":5,\"score\":12.5,\"text\":\"Other\"}],"
      "\"usage\":{\"prompt_tokens\":100,\"cached_tokens\":{\"device\":0,\"host\":0,\"disk\":64,"
      "\"remote\":0},\"generated_tokens\":9},\"ttft_s\":0.25,\"finish_reason\":\"stop\"}");
}

TEST(AnswerViewTest, FailedQuestionIsIdAndErrorOnly) {
  v1::Answer answer = SampleAnswer();
  answer.set_finish_reason(v1::FINISH_REASON_ERROR);
  answer.mutable_error()->set_code(8);
  answer.mutable_error()->set_message("no memory");
  EXPECT_EQ(AnswerJson(7, answer, SampleDocuments()).dump(),
            "{\"id\":7,\"error\":{\"code\":\"RESOURCE_EXHAUSTED\",\"message\":\"no memory\"}}");
}

TEST(AnswerViewTest, TrailerShowsPageQuoteAndCache) {
  const std::string text = AnswerTrailer(SampleAnswer(), SampleDocuments());
  for (const char* part :
       {"manuals/a.pdf, page 3, bytes 10-29", "\"The harbour master.\"",
        "b.md, bytes 0-5, 12.5 times chance", "64 of them from cache (64 from disk)"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

// A small model may write what nobody said: an answer without a quote is marked as such.
TEST(AnswerViewTest, TrailerWarnsWhereNothingIsQuoted) {
  v1::Answer answer = SampleAnswer();
  EXPECT_EQ(AnswerTrailer(answer, SampleDocuments()).find("do not rely"), std::string::npos);
  answer.clear_citations();
  EXPECT_NE(AnswerTrailer(answer, SampleDocuments()).find("do not rely"), std::string::npos);
}

TEST(AnswerViewTest, EnumsReadAsWords) {
  EXPECT_EQ(FinishText(v1::FINISH_REASON_LENGTH), "length");
  EXPECT_EQ(ScopeText(v1::SCOPE_EXCERPT), "excerpt");
  EXPECT_EQ(StateText(v1::JOB_STATE_SUCCEEDED), "succeeded");
}

}  // namespace
}  // namespace lectern::cli
