// The command line from outside: `ask --json` to the letter, exit codes, byte ranges that resolve,
// one code path with and without a server.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/processes.h"
#include "tests/e2e/tiny_model.h"

namespace lectern::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<json> Lines(const std::string& output) {
  std::vector<json> lines;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(output, '\n', absl::SkipEmpty()))) {
    lines.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
  }
  return lines;
}

std::set<std::string> Keys(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

// Every field of the contract, of its type; passages are the bytes that they name.
void CheckAnswer(const json& answer, const std::string& file, const std::string& text, bool paged) {
  ASSERT_TRUE(answer.is_object());
  EXPECT_EQ(Keys(answer),
            (std::set<std::string>{"id", "question", "answer", "answered", "scope", "citations",
                                   "evidence", "usage", "ttft_s", "finish_reason"}))
      << answer.dump();
  EXPECT_TRUE(answer["answer"].is_string());
  EXPECT_TRUE(answer["answered"].is_boolean());
  EXPECT_TRUE(answer["scope"] == "whole" || answer["scope"] == "excerpt") << answer["scope"];
  EXPECT_TRUE(answer["ttft_s"].is_number() && answer["ttft_s"] > 0) << answer["ttft_s"];
  EXPECT_TRUE(answer["finish_reason"] == "stop" || answer["finish_reason"] == "length");
  EXPECT_EQ(Keys(answer["usage"]),
            (std::set<std::string>{"prompt_tokens", "cached_tokens", "generated_tokens"}));
  EXPECT_EQ(Keys(answer["usage"]["cached_tokens"]),
            (std::set<std::string>{"device", "host", "disk", "remote"}));
  const auto check_place = [&](const json& place, const std::string& quote) {
    EXPECT_EQ(place["document"], file);
    EXPECT_EQ(place["page"].is_null(), !paged) << place.dump();
    const auto begin = place["byte_begin"].get<size_t>(), end = place["byte_end"].get<size_t>();
    ASSERT_LT(begin, end);
    ASSERT_LE(end, text.size());
    EXPECT_EQ(text.substr(begin, end - begin), quote) << place.dump();
  };
  for (const json& citation : answer["citations"]) {
    EXPECT_EQ(Keys(citation),
              (std::set<std::string>{"document", "page", "byte_begin", "byte_end", "quote"}));
    check_place(citation, citation["quote"]);
  }
  double last_score = 1e300;
  for (const json& passage : answer["evidence"]) {
    EXPECT_EQ(Keys(passage), (std::set<std::string>{"document", "page", "byte_begin", "byte_end",
                                                    "score", "text"}));
    check_place(passage, passage["text"]);
    EXPECT_LE(passage["text"].get<std::string>().size(), 600U);
    EXPECT_LE(passage["score"].get<double>(), last_score);
    last_score = passage["score"];
  }
}

class AskContractTest : public testing::Test {
 protected:
  AskContractTest() : directory_("ask") {
    const auto model = WriteTinyModel(directory_.Path("model"));
    EXPECT_TRUE(model.ok()) << model.status();
    model_ = *model;
    file_ = directory_.Write("book.txt", RandomText(400, 5));
  }
  CommandResult Lectern(std::vector<std::string> words) {
    for (const std::string& word :
         {std::string("--data-dir"), directory_.Path("data"), std::string("--model"), model_}) {
      words.push_back(word);
    }
    return RunLectern(words);
  }
  std::string TextOf(const std::string& file) { return RunLectern({"doc", "text", file}).output; }

  TestDirectory directory_;
  std::string model_;
  std::string file_;
};

TEST_F(AskContractTest, OneQuestionWithoutAServer) {
  const CommandResult result =
      Lectern({"ask", file_, "Who opens the valve?", "--json", "--max-new-tokens", "20"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::vector<json> lines = Lines(result.output);
  ASSERT_EQ(lines.size(), 1U) << result.output;
  CheckAnswer(lines[0], file_, TextOf(file_), /*paged=*/false);
  EXPECT_EQ(lines[0]["question"], "Who opens the valve?");
  EXPECT_EQ(lines[0]["evidence"].size(), 3U);
  EXPECT_LE(lines[0]["usage"]["generated_tokens"], 20);
}

TEST_F(AskContractTest, QuestionsAreAnsweredInInputOrderAndTheDocumentOnce) {
  const std::string questions =
      directory_.Write("q.jsonl",
                       "{\"id\":\"first\",\"question\":\"Who opens the valve?\"}\n"
                       "{\"id\":2,\"question\":\"When is noon?\"}\n\n"
                       "{\"id\":\"third\",\"question\":\"Why thirty?\"}\n");
  const CommandResult result =
      Lectern({"ask", file_, "--questions", questions, "--json", "--max-new-tokens", "12"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::vector<json> lines = Lines(result.output);
  ASSERT_EQ(lines.size(), 3U) << result.output;
  EXPECT_EQ(lines[0]["id"], "first");
  EXPECT_EQ(lines[1]["id"], 2);
  EXPECT_EQ(lines[2]["id"], "third");
  const std::string text = TextOf(file_);
  for (const json& line : lines) CheckAnswer(line, file_, text, /*paged=*/false);
  const auto cached = [](const json& line) {
    const json& tokens = line["usage"]["cached_tokens"];
    return tokens["device"].get<int64_t>() + tokens["disk"].get<int64_t>();
  };
  EXPECT_EQ(cached(lines[0]), 0);
  for (size_t i : {size_t{1}, size_t{2}}) {
    EXPECT_GT(cached(lines[i]), lines[i]["usage"]["prompt_tokens"].get<int64_t>() / 2)
        << lines[i].dump();
  }
}

TEST_F(AskContractTest, PdfPassagesHavePages) {
  const std::string pdf = LECTERN_SOURCE_DIR "/deploy/sample/station-manual.pdf";
  const CommandResult result = Lectern(
      {"ask", pdf, "What must be done if the main pump fails?", "--json", "--max-new-tokens", "8"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::vector<json> lines = Lines(result.output);
  ASSERT_EQ(lines.size(), 1U);
  CheckAnswer(lines[0], pdf, TextOf(pdf), /*paged=*/true);
}

TEST_F(AskContractTest, FailedQuestionsAreErrorsAndExitCodeOne) {
  const CommandResult missing = Lectern({"ask", directory_.Path("none.pdf"), "Who?", "--json"});
  EXPECT_EQ(missing.exit_code, 1);
  std::vector<json> lines = Lines(missing.output);
  ASSERT_EQ(lines.size(), 1U) << missing.output;
  EXPECT_EQ(Keys(lines[0]), (std::set<std::string>{"id", "error"}));
  EXPECT_EQ(Keys(lines[0]["error"]), (std::set<std::string>{"code", "message"}));
  EXPECT_EQ(lines[0]["error"]["code"], "NOT_FOUND");

  const std::string empty = directory_.Write("empty.pdf", "%PDF-1.4 nothing");
  const CommandResult unreadable = Lectern({"ask", empty, "Who?", "--json"});
  EXPECT_EQ(unreadable.exit_code, 1);
  lines = Lines(unreadable.output);
  ASSERT_EQ(lines.size(), 1U) << unreadable.output;
  EXPECT_EQ(lines[0]["error"]["code"], "INVALID_ARGUMENT") << lines[0].dump();
}

TEST_F(AskContractTest, ExitCodesTellUsageAndUnavailable) {
  EXPECT_EQ(RunLectern({"ask", file_}).exit_code, 2);
  EXPECT_EQ(RunLectern({"ask", file_, "Who?", "--threads", "many"}).exit_code, 2);
  const std::string bad = directory_.Write("bad.jsonl", "{\"id\":1}\n");
  const CommandResult bad_questions = Lectern({"ask", file_, "--questions", bad, "--json"});
  EXPECT_EQ(bad_questions.exit_code, 2);
  EXPECT_NE(bad_questions.errors.find("bad.jsonl:1"), std::string::npos) << bad_questions.errors;
  EXPECT_EQ(RunLectern({"stats", "--server", "127.0.0.1:1"}).exit_code, 3);
  EXPECT_EQ(
      RunLectern({"ask", file_, "Who?", "--data-dir", directory_.Path("d"), "--model", "nowhere"})
          .exit_code,
      3);
}

// The same question through a server and in process: equal answers, and the server is found by the
// data directory.
TEST_F(AskContractTest, AServerAndThisProcessAnswerAlike) {
  const std::vector<std::string> words = {
      "ask", file_, "Who writes the log?", "--json", "--max-new-tokens", "24"};
  const CommandResult alone = Lectern(words);
  ASSERT_EQ(alone.exit_code, 0) << alone.errors;
  const auto server = ServerProcess::Start(
      {.data_directory = directory_.Path("data"), .model = model_, .flags = {}});
  ASSERT_TRUE(server.ok()) << server.status();
  const CommandResult served = Lectern(words);
  ASSERT_EQ(served.exit_code, 0) << served.errors;
  const json a = Lines(alone.output).at(0), b = Lines(served.output).at(0);
  EXPECT_EQ(a["answer"], b["answer"]);
  EXPECT_EQ(a["evidence"], b["evidence"]);
  // The pages that the first process left on disk serve the second.
  EXPECT_GT(b["usage"]["cached_tokens"]["disk"].get<int64_t>(), 0) << b.dump();
  const CommandResult stats = Lectern({"stats", "--json"});
  ASSERT_EQ(stats.exit_code, 0) << stats.errors;
  EXPECT_EQ(Lines(stats.output).at(0)["pages_leaked"], "0") << stats.output;
}

TEST_F(AskContractTest, JobsAreSubmittedWatchedAndShown) {
  const CommandResult submitted =
      Lectern({"job", "submit", file_, "Who opens the valve?", "--json", "--max-new-tokens", "12"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.errors;
  const std::string job = Lines(submitted.output).at(0)["name"];
  const CommandResult watched = Lectern({"job", "watch", job, "--json"});
  ASSERT_EQ(watched.exit_code, 0) << watched.errors;
  const std::vector<json> events = Lines(watched.output);
  ASSERT_GT(events.size(), 3U);
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i]["seq"], std::to_string(i + 1));
  EXPECT_EQ(events.back()["job_state"], "JOB_STATE_SUCCEEDED");
  const CommandResult rest = Lectern({"job", "watch", job, "--json", "--after-seq", "2"});
  EXPECT_EQ(Lines(rest.output).size(), events.size() - 2);
  const CommandResult shown = Lectern({"job", "show", job, "--json"});
  EXPECT_EQ(Lines(shown.output).at(0)["state"], "JOB_STATE_SUCCEEDED") << shown.output;
}

TEST_F(AskContractTest, ChatTakesPipedTurns) {
  const CommandResult result =
      RunLectern({"chat", file_, "--json", "--max-new-tokens", "8", "--data-dir",
                  directory_.Path("data"), "--model", model_},
                 {.input = "Who opens the valve?\n\nWhen?\n/exit\nnever sent\n"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::vector<json> lines = Lines(result.output);
  ASSERT_EQ(lines.size(), 2U) << result.output;
  EXPECT_EQ(lines[1]["question"], "When?");
  EXPECT_GT(lines[1]["usage"]["prompt_tokens"], lines[0]["usage"]["prompt_tokens"]);
}

// Ctrl-C while a long document is read: the job is cancelled and everything of it is freed.
TEST_F(AskContractTest, AnInterruptCancelsTheJob) {
  const auto server = ServerProcess::Start(
      {.data_directory = directory_.Path("data"), .model = model_, .flags = {"--quiet"}});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string book = directory_.Write("long.txt", RandomText(12000, 9));
  const CommandResult result = RunLectern({"ask", book, "Who opens the valve?", "--json", "--whole",
                                           "--data-dir", directory_.Path("data")},
                                          {.interrupt_after = std::chrono::milliseconds(1500)});
  if (result.exit_code == 0) GTEST_SKIP() << "this machine answered before the interrupt";
  EXPECT_EQ(result.exit_code, 130) << result.errors;
  const std::unique_ptr<cli::Client> client = (*server)->Connect();
  const auto jobs = client->ListJobs({});
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  for (const v1::Job& job : jobs->jobs()) EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
  // The engine lets go at its next step, which runs now.
  auto stats = client->GetStats();
  for (int i = 0; i < 100 && stats.ok() && stats->requests_running() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stats = client->GetStats();
  }
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->requests_running() + stats->requests_waiting(), 0);
  EXPECT_EQ(stats->pages_free() + stats->pages_cached(), stats->pages_total());
  EXPECT_EQ(stats->pages_leaked(), 0);
}

// With the default model in the tree: a right answer about the sample, quoted from its page.
TEST_F(AskContractTest, TheDefaultModelQuotesTheSample) {
  const std::string model = LECTERN_SOURCE_DIR "/configs/models/lectern-small";
  if (!fs::exists(model + "/config.json")) GTEST_SKIP() << "no default model in this tree";
  const std::string pdf = LECTERN_SOURCE_DIR "/deploy/sample/station-manual.pdf";
  const CommandResult result =
      RunLectern({"ask", pdf, "What must be done if the main pump fails?", "--json", "--data-dir",
                  directory_.Path("small"), "--model", model});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const json answer = Lines(result.output).at(0);
  CheckAnswer(answer, pdf, TextOf(pdf), /*paged=*/true);
  EXPECT_TRUE(answer["answered"]) << answer.dump();
  ASSERT_FALSE(answer["citations"].empty()) << answer.dump();
  EXPECT_NE(answer["answer"].get<std::string>().find("second pump must be started"),
            std::string::npos)
      << answer["answer"];
}

}  // namespace
}  // namespace lectern::e2e
