// Jobs survive a death at any write: what the client has put together is what an undisturbed run
// says.
#include <gtest/gtest.h>

#include <set>

#include "services/common/error_details.h"
#include "tests/services/frontend/process.h"

namespace lectern::frontend {
namespace {

constexpr char kUuid[] = "123e4567-e89b-12d3-a456-426614174000";
const std::vector<std::string> kQuestions = {"first?", "second?", "third?"};

std::string MustCreate(Process& process, const v1::CreateJobRequest& request) {
  const auto job = process.jobs->Create(request);
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? job->name() : "";
}

std::vector<v1::AnswerEvent> Events(Process& process, const std::string& name) {
  return ReadToEnd(**process.events->Open(name));
}

TEST(Jobs, AnswersEveryQuestionAndKeepsTheAnswers) {
  World world;
  std::string name;
  {
    Process process(world);
    name = MustCreate(process, JobRequest(world, kQuestions));
    const auto events = Events(process, name);
    for (int q = 0; q < 3; ++q) EXPECT_EQ(Receive(events, q).finished, 1);
  }
  Process later(world);
  const auto job = later.jobs->Get(name);
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job->questions_done(), 3);
  ASSERT_EQ(job->answers_size(), 3);
  for (int q = 0; q < 3; ++q) {
    EXPECT_EQ(job->answers(q).question(), kQuestions[static_cast<size_t>(q)]);
    EXPECT_EQ(job->answers(q).question_id(), std::to_string(q));
  }
  EXPECT_EQ(job->last_seq(), (*later.events->Open(name))->last_seq());
}

// The store fails at write k, the process dies; the next one finishes. For every k.
TEST(Jobs, ADeathAtAnyWriteLosesAndDoublesNothing) {
  Received expected[3];
  {
    World world;
    Process process(world);
    const auto events = Events(process, MustCreate(process, JobRequest(world, kQuestions)));
    for (int q = 0; q < 3; ++q) expected[q] = Receive(events, q);
  }
  int deaths = 0;
  for (int writes = 0; writes < 400; ++writes) {
    World world;
    std::string name;
    int64_t seen = 0;
    std::vector<v1::AnswerEvent> events;
    {
      Process process(world, {.run_freely = false});
      name = MustCreate(process, JobRequest(world, kQuestions));
      const auto stream = *process.events->Open(name);
      world.state.FailWrites(absl::UnavailableError("dead"), writes);
      // Steps by hand until the job ends or the store has died.
      bool died = false;
      for (int i = 0; i < 20'000 && !stream->ended() && !died; ++i) {
        process.worker->Step();
        std::this_thread::sleep_for(std::chrono::microseconds(20));
        died = process.worker->submitted().size() > 0 && process.worker->running() == 0 && i > 400;
      }
      while (true) {  // what a client saw before the death
        const auto batch = *stream->Read(seen, 100);
        for (const EventPtr& event : batch.events) {
          events.push_back(*event);
          seen = event->seq();
        }
        if (batch.events.empty()) break;
      }
      if (stream->ended()) {
        EXPECT_GT(deaths, 10);  // the loop did reach into the answers
        return;
      }
      ++deaths;
    }
    world.state.FailWrites(absl::OkStatus());
    Process process(world);
    for (const auto& event : ReadToEnd(**process.events->Open(name), seen)) events.push_back(event);
    for (size_t i = 0; i < events.size(); ++i)
      ASSERT_EQ(events[i].seq(), static_cast<int64_t>(i) + 1);
    for (int q = 0; q < 3; ++q) {
      const Received received = Receive(events, q);
      ASSERT_EQ(received.text, expected[q].text) << "died at write " << writes;
      ASSERT_EQ(received.ids, expected[q].ids) << "died at write " << writes;
      ASSERT_EQ(received.finished, 1);
      ASSERT_EQ(received.answer.text(), expected[q].answer.text());
      ASSERT_EQ(received.answer.finish_reason(), v1::FINISH_REASON_STOP);
      ASSERT_EQ(received.answer.citations_size(), 1);
      ASSERT_EQ(received.answer.evidence_size(), expected[q].answer.evidence_size());
    }
    ASSERT_EQ(events.back().job_state(), v1::JOB_STATE_SUCCEEDED);
  }
  FAIL() << "the job never ended";
}

TEST(Jobs, AStoreThatRecoversIsTriedAgainWithoutARestart) {
  World world;
  ProcessOptions options;
  options.jobs.retry_delay = std::chrono::milliseconds(20);
  options.run_freely = false;
  Process process(world, std::move(options));
  const std::string name = MustCreate(process, JobRequest(world, {"one?"}));
  const auto stream = *process.events->Open(name);
  world.state.FailWrites(absl::ResourceExhaustedError("disk full"), 5);
  process.worker->RunFreely();
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  world.state.FailWrites(absl::OkStatus());
  const Received received = Receive(ReadToEnd(*stream), 0);
  EXPECT_EQ(received.text, "¶2 Trams ran until 1957. é one?");
}

TEST(Jobs, TheFirstQuestionGoesAloneThenTheOthersTogether) {
  World world;
  Process process(world, {.run_freely = false});
  const std::string name =
      MustCreate(process, JobRequest(world, {"a?", "b?", "c?", "d?", "e?", "f?"}));
  const auto wait_for = [&](size_t submitted) {
    for (int i = 0; i < 5000 && process.worker->submitted().size() < submitted; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(process.worker->submitted().size(), submitted);
  };
  wait_for(1);
  process.worker->Step();  // its first token: the documents are in the cache
  wait_for(4);             // four at a time
  process.worker->RunFreely();
  EXPECT_EQ(Events(process, name).back().job_state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(process.worker->submitted().size(), 6U);
}

TEST(Jobs, OnlySoManyRunAtOnceAndTheyStartInOrder) {
  World world;
  ProcessOptions options;
  options.jobs.running_max = 2;
  Process process(world, std::move(options));
  std::vector<std::string> names;
  for (int i = 0; i < 6; ++i) {
    names.push_back(MustCreate(process, JobRequest(world, {std::to_string(i) + "?"})));
  }
  for (const std::string& name : names) Events(process, name);
  EXPECT_EQ(process.worker->submitted().size(), 6U);
}

TEST(Jobs, CancelEndsARunningJobAndFreesTheWorker) {
  World world;
  Process process(world, {.run_freely = false});
  const std::string name = MustCreate(process, JobRequest(world, kQuestions));
  for (int i = 0; i < 5000 && process.worker->running() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.worker->Step();
  v1::CancelJobRequest cancel;
  cancel.set_name(name);
  const auto job = process.jobs->Cancel(cancel);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(process.worker->Step(), 0U);  // freed within one step
  const auto events = Events(process, name);
  for (int q = 0; q < 3; ++q) {
    EXPECT_EQ(Receive(events, q).answer.finish_reason(), v1::FINISH_REASON_CANCELLED);
  }
  EXPECT_EQ(process.jobs->Cancel(cancel)->state(), v1::JOB_STATE_CANCELLED);  // again: no harm
}

TEST(Jobs, CancelReachesAJobThatWaits) {
  World world;
  ProcessOptions options;
  options.jobs.running_max = 1;
  options.run_freely = false;
  Process process(world, std::move(options));
  MustCreate(process, JobRequest(world, {"runs?"}));
  const std::string waiting = MustCreate(process, JobRequest(world, {"waits?"}));
  v1::CancelJobRequest cancel;
  cancel.set_name(waiting);
  const auto job = process.jobs->Cancel(cancel);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::JOB_STATE_CANCELLED);
  process.worker->RunFreely();
  EXPECT_EQ(Events(process, waiting).back().job_state(), v1::JOB_STATE_CANCELLED);
}

TEST(Jobs, TheSameRequestIdMakesOneJobAlsoAfterARestart) {
  World world;
  v1::CreateJobRequest request = JobRequest(world, {"once?"});
  request.set_request_id(kUuid);
  std::string name;
  {
    Process process(world);
    name = MustCreate(process, request);
    EXPECT_EQ(MustCreate(process, request), name);
    Events(process, name);
  }
  Process process(world);
  EXPECT_EQ(MustCreate(process, request), name);
  EXPECT_EQ(process.jobs->Count(), 1);
  EXPECT_EQ(process.worker->submitted().size(), 0U);
  request.mutable_questions(0)->set_text("another?");
  EXPECT_TRUE(absl::IsInvalidArgument(process.jobs->Create(request).status()));
}

TEST(Jobs, ListsInPagesInOrderOfCreation) {
  World world;
  Process process(world);
  std::vector<std::string> names;
  for (int i = 0; i < 7; ++i) {
    names.push_back(MustCreate(process, JobRequest(world, {"q?"})));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::vector<std::string> listed;
  v1::ListJobsRequest request;
  request.set_page_size(3);
  int pages = 0;
  do {
    const auto page = process.jobs->List(request);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->jobs_size(), 3);
    for (const auto& job : page->jobs()) listed.push_back(job.name());
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, names);
  EXPECT_EQ(pages, 3);
  request.set_page_token("forged");
  EXPECT_TRUE(absl::IsInvalidArgument(process.jobs->List(request).status()));
  request.set_page_token("");
  request.set_page_size(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(process.jobs->List(request).status()));
}

TEST(Jobs, DeleteLeavesNothing) {
  World world;
  Process process(world);
  const size_t before = world.state.size();
  const std::string name = MustCreate(process, JobRequest(world, kQuestions));
  const auto stream = *process.events->Open(name);
  v1::DeleteJobRequest request;
  request.set_name(name);
  ASSERT_TRUE(process.jobs->Delete(request).ok());
  EXPECT_EQ(world.state.size(), before);
  EXPECT_TRUE(absl::IsNotFound(process.jobs->Get(name).status()));
  EXPECT_TRUE(absl::IsNotFound(process.jobs->Delete(request)));
}

TEST(Jobs, WhatDoesNotExistIsNotFoundAndWhatIsWrongIsSaid) {
  World world;
  Process process(world);
  EXPECT_TRUE(absl::IsNotFound(process.jobs->Get("jobs/none").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(process.jobs->Get("documents/none").status()));
  v1::CreateJobRequest request = JobRequest(world, {"q?"});
  request.add_documents("documents/none");
  EXPECT_TRUE(absl::IsNotFound(process.jobs->Create(request).status()));
  v1::WatchJobRequest watch;
  watch.set_name("jobs/none");
  EXPECT_TRUE(absl::IsNotFound(process.jobs->Watch(watch).status()));
  watch.set_after_seq(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(process.jobs->Watch(watch).status()));
}

TEST(Jobs, APromptBeyondTheContextIsRefusedWithTheNumbers) {
  World world;
  Process process(world);
  v1::CreateJobRequest request = JobRequest(world, {"q?"});
  request.mutable_options()->mutable_sampling()->set_max_new_tokens(200'000);
  const absl::Status refused = process.jobs->Create(request).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(common::GetErrorInfo(refused, &info));
  EXPECT_EQ(info.reason(), "PROMPT_TOO_LONG");
  EXPECT_EQ(info.metadata().at("max_context"), "100000");
  EXPECT_EQ(process.jobs->Count(), 0);
}

TEST(Jobs, WithoutAnEngineStoredJobsCanBeReadAndCancelled) {
  World world;
  std::string name;
  {
    Process process(world, {.run_freely = false});
    name = MustCreate(process, JobRequest(world, {"q?"}));
  }
  Process process(world, {.has_engine = false});
  EXPECT_TRUE(process.jobs->Get(name).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(process.jobs->Create(JobRequest(world, {"q?"})).status()));
  v1::CancelJobRequest cancel;
  cancel.set_name(name);
  EXPECT_EQ(process.jobs->Cancel(cancel)->state(), v1::JOB_STATE_CANCELLED);
}

}  // namespace
}  // namespace lectern::frontend
