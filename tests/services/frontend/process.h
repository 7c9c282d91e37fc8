#pragma once
// The front end's core over a fake worker: one Process dies like a process, the state store lives
// on.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/common/prometheus_metrics.h"
#include "services/frontend/job_runner.h"
#include "services/frontend/session_runner.h"
#include "services/state/memory_state_store.h"
#include "tests/testing/byte_tokenizer.h"
#include "tests/testing/fake_documents.h"
#include "tests/testing/fake_worker.h"

namespace lectern::frontend {

// What outlives a process.
struct World {
  World() {
    document = documents.Put("d1", {"The bridge was opened in 1932.", "Trams ran until 1957.",
                                    "Maintenance is paid by tolls."});
  }
  state::MemoryStateStore state;
  testing::FakeDocuments documents;
  std::string document;
};

// Answers "¶2 Trams ran until 1957. <question>" so that answers differ by question.
inline std::vector<int32_t> QuotingScript(const std::vector<int32_t>& prompt) {
  std::string question;
  for (const int32_t id : prompt) {
    if (id == 260) question.clear();  // <|user|>
    if (id < 256) question.push_back(static_cast<char>(id));
  }
  std::vector<int32_t> answer = {256};  // ¶
  for (const int32_t id : testing::Bytes("2 Trams ran until 1957. é" + question))
    answer.push_back(id);
  return answer;
}

struct ProcessOptions {
  testing::FakeWorker::Script script = QuotingScript;
  JobRunnerOptions jobs = {};
  SessionRunnerOptions sessions = {};
  bool run_freely = true;
  bool has_engine = true;
};

class Process {
 public:
  explicit Process(World& world, ProcessOptions options = {})
      : tokenizer_(testing::ByteTokenizer()) {
    const std::string directory = ::testing::TempDir() + "/process_model";
    std::filesystem::create_directories(directory);
    std::ofstream(directory + "/lectern.json") << testing::ByteModelCard(0);
    auto chat = tokenizer::ChatFormat::ForModel(*tokenizer_, "glm_moe_dsa", directory);
    EXPECT_TRUE(chat.ok()) << chat.status();
    worker = std::make_unique<testing::FakeWorker>(std::move(options.script));
    prompts = std::make_unique<PromptBuilder>(
        *tokenizer_, *std::move(chat), world.documents,
        PromptLimits{.max_context = 100'000, .reliable_context = 0, .eos_token_ids = {}});
    pool_ = std::make_unique<TaskPool>(3, 1000);
    events = std::make_unique<EventLog>(world.state, metrics);
    requests = std::make_unique<RequestLog>(world.state, clock);
    answers_ =
        std::make_unique<AnswerContext>(AnswerContext{*worker, *prompts, *pool_, metrics, clock});
    const ServiceContext context{
        world.state, *events, *requests, world.documents,
        *pool_,      metrics, clock,     options.has_engine ? answers_.get() : nullptr};
    jobs = std::make_unique<JobRunner>(context, options.jobs);
    sessions = std::make_unique<SessionRunner>(context, options.sessions);
    EXPECT_TRUE(jobs->Resume().ok());
    EXPECT_TRUE(sessions->Resume().ok());
    if (options.run_freely) worker->RunFreely();
  }

  ~Process() {
    jobs->Stop();
    sessions->Stop();
    worker.reset();
    pool_.reset();
  }

  const base::Clock& clock = base::SystemClock();
  common::PrometheusMetrics metrics{common::UnknownMetric::kCheck};
  std::unique_ptr<testing::FakeWorker> worker;
  std::unique_ptr<PromptBuilder> prompts;
  std::unique_ptr<EventLog> events;
  std::unique_ptr<RequestLog> requests;
  std::unique_ptr<JobRunner> jobs;
  std::unique_ptr<SessionRunner> sessions;

 private:
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<TaskPool> pool_;
  std::unique_ptr<AnswerContext> answers_;
};

inline v1::CreateJobRequest JobRequest(const World& world,
                                       const std::vector<std::string>& questions) {
  v1::CreateJobRequest request;
  request.add_documents(world.document);
  for (const std::string& text : questions) request.add_questions()->set_text(text);
  return request;
}

// Waits for the end and reads everything after `after_seq`, a few events at a time.
inline std::vector<v1::AnswerEvent> ReadToEnd(EventStream& stream, int64_t after_seq = 0) {
  EXPECT_TRUE(stream.WaitForEnd(std::chrono::seconds(30))) << stream.name();
  std::vector<v1::AnswerEvent> events;
  while (true) {
    const auto batch = stream.Read(after_seq, 3);
    EXPECT_TRUE(batch.ok()) << batch.status();
    if (!batch.ok()) return events;
    for (const EventPtr& event : batch->events) {
      EXPECT_EQ(event->seq(), after_seq + 1);
      after_seq = event->seq();
      events.push_back(*event);
    }
    if (batch->ended || batch->events.empty()) return events;
  }
}

// What a client has of one question when it has put all deltas together.
struct Received {
  std::string text;
  std::vector<int32_t> ids;
  int finished = 0;
  v1::Answer answer;
};

inline Received Receive(const std::vector<v1::AnswerEvent>& events, int question) {
  Received received;
  for (const v1::AnswerEvent& event : events) {
    if (event.question_index() != question) continue;
    if (event.has_text_delta()) {
      received.text += event.text_delta().text();
      const auto& ids = event.text_delta().token_ids();
      received.ids.insert(received.ids.end(), ids.begin(), ids.end());
    }
    if (event.has_finished()) {
      ++received.finished;
      received.answer = event.finished();
    }
  }
  return received;
}

}  // namespace lectern::frontend
