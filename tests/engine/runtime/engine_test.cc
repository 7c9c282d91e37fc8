// Requests through the engine: answers, refusals, cancellation, errors, order.

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/engine/runtime/engine_fixture.h"

namespace lectern::runtime {
namespace {

class EngineTest : public EngineFixture {};

TEST_F(EngineTest, AnswersAsTheModelAloneWould) {
  Start();
  const Request request = Prompt(RandomTokens(200, 1), 10);
  const Answer answer = Ask(*engine_, request);
  const Finished finished = answer->Wait();
  EXPECT_EQ(finished.reason, FinishReason::kLength);
  EXPECT_EQ(answer->tokens(), FakeAnswer(request.prompt, 10));
  for (std::size_t i = 0; i < answer->events.size(); ++i) {
    EXPECT_EQ(answer->events[i].index, static_cast<int64_t>(i));
    EXPECT_FALSE(answer->events[i].logprob.has_value());
  }
  EXPECT_EQ(finished.generated_tokens, 10);
  EXPECT_EQ(finished.prompt_tokens.computed, 200);
  EXPECT_TRUE(finished.ttft_seconds.has_value());
  EXPECT_TRUE(finished.selection_counts.empty());
  ExpectAllPagesBack();
}

TEST_F(EngineTest, TellsHowMuchOfThePromptIsInPlace) {
  config_.max_batch_tokens = 48;
  Start();
  std::vector<int64_t> done;
  Finished end;
  std::promise<void> over;
  RequestCallbacks callbacks;
  callbacks.on_token = [](const TokenEvent&) {};
  callbacks.on_progress = [&](int64_t tokens) { done.push_back(tokens); };
  callbacks.on_finished = [&](const Finished& finished) {
    end = finished;
    over.set_value();
  };
  ASSERT_TRUE(engine_->Submit(Prompt(RandomTokens(200, 1), 3), std::move(callbacks)).ok());
  over.get_future().wait();
  EXPECT_EQ(end.reason, FinishReason::kLength);
  // The step that ends the prompt brings the first token instead.
  EXPECT_EQ(done, (std::vector<int64_t>{48, 96, 144, 192}));
}

TEST_F(EngineTest, ChunksAndBatchMatesChangeNothing) {
  for (const int batch_tokens : {1, 2, 7, 64, 1000}) {
    config_.max_batch_tokens = batch_tokens;
    Start();
    std::vector<Request> requests;
    std::vector<Answer> answers;
    for (int i = 0; i < 6; ++i) {
      requests.push_back(Prompt(RandomTokens(1 + 37 * i, static_cast<uint64_t>(i)), 5));
      answers.push_back(Ask(*engine_, requests.back()));
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      answers[i]->Wait();
      EXPECT_EQ(answers[i]->tokens(), FakeAnswer(requests[i].prompt, 5)) << batch_tokens;
    }
    for (const int tokens : model_.step_tokens) ASSERT_LE(tokens, batch_tokens);
    model_.step_tokens.clear();
  }
}

TEST_F(EngineTest, AStopTokenEndsTheAnswerAndIsNotPartOfIt) {
  Start();
  const auto prompt = RandomTokens(100, 2);
  const auto whole = FakeAnswer(prompt, 12);
  Request request = Prompt(prompt, 12);
  request.stop_token_ids = {whole[7]};
  const auto first = std::find(whole.begin(), whole.end(), whole[7]);
  const Answer answer = Ask(*engine_, request);
  const Finished finished = answer->Wait();
  EXPECT_EQ(finished.reason, FinishReason::kStop);
  EXPECT_EQ(answer->tokens(), std::vector<int32_t>(whole.begin(), first));
  EXPECT_EQ(finished.generated_tokens, first - whole.begin());
}

TEST_F(EngineTest, AResumedAnswerGoesOnWhereItStood) {
  Start();
  Request request = Prompt(RandomTokens(90, 3), 12);
  request.sampling.temperature = 0.8;
  request.sampling.seed = 99;
  request.sampling.repetition_penalty = 1.1;
  request.record_selections = true;
  const Answer whole = Ask(*engine_, request);
  const Finished whole_end = whole->Wait();
  const auto tokens = whole->tokens();
  for (const std::size_t known : {1, 5, 11, 12}) {
    request.generated.assign(tokens.begin(), tokens.begin() + static_cast<long>(known));
    const Answer rest = Ask(*engine_, request);
    const Finished end = rest->Wait();
    EXPECT_EQ(Joined(request.generated, rest->tokens()), tokens);
    EXPECT_EQ(end.generated_tokens, 12);
    if (known == 12) continue;  // nothing was left to do
    EXPECT_EQ(rest->events.at(0).index, static_cast<int64_t>(known));
    EXPECT_EQ(end.selection_counts, whole_end.selection_counts);
  }
}

TEST_F(EngineTest, CountsTheSelectionsOfQueriesThatWroteTheAnswer) {
  Start();
  Request request = Prompt(RandomTokens(30, 4), 5);
  request.record_selections = true;
  const Answer answer = Ask(*engine_, request);
  const Finished finished = answer->Wait();
  // Five queries (the last prompt token, four generated), the deeper one of two Full layers; the
  // fake model chooses the first 15 positions and the query's own.
  std::vector<uint32_t> expected(35, 0);
  for (std::size_t i = 0; i < 15; ++i) expected[i] = 5;
  for (std::size_t query = 29; query < 34; ++query) expected[query] = 1;
  EXPECT_EQ(finished.selection_counts, expected);

  request.stop_token_ids = {answer->tokens()[3]};
  const Finished stopped = Ask(*engine_, request)->Wait();
  ASSERT_EQ(stopped.reason, FinishReason::kStop);
  const auto emitted = static_cast<uint32_t>(stopped.generated_tokens);
  EXPECT_EQ(stopped.selection_counts.size(), 30 + emitted);
  EXPECT_EQ(stopped.selection_counts[0], emitted);  // the stop token's query does not count
}

TEST_F(EngineTest, GivesLogProbabilitiesWhereAskedFor) {
  Start();
  Request request = Prompt(RandomTokens(20, 5), 3);
  request.sampling.logprobs = 4;
  const Answer answer = Ask(*engine_, request);
  answer->Wait();
  ASSERT_EQ(answer->events.size(), 3U);
  for (const TokenEvent& event : answer->events) {
    ASSERT_TRUE(event.logprob.has_value());
    ASSERT_EQ(event.top_logprobs.size(), 4U);
    EXPECT_EQ(event.top_logprobs[0].token_id, event.token_id);  // greedy
    EXPECT_EQ(event.top_logprobs[0].logprob, *event.logprob);
  }
}

TEST_F(EngineTest, RefusesBeforeAnyWorkWithTheNumbers) {
  Start();
  const auto code_of = [&](Request request) {
    return engine_->Submit(std::move(request), {}).status().code();
  };
  EXPECT_EQ(code_of(Prompt({})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(Prompt({3, FakeModel::kVocab})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(Prompt({-1})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(Prompt({1}, 0)), absl::StatusCode::kInvalidArgument);
  Request salty = Prompt({1});
  salty.cache_salt = std::string(5000, 'x');
  EXPECT_EQ(code_of(salty), absl::StatusCode::kInvalidArgument);
  Request sampling = Prompt({1});
  sampling.sampling.temperature = -1;
  EXPECT_EQ(code_of(sampling), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(engine_->info().max_context, 64 * 64);
  const auto too_long = engine_->Submit(Prompt(RandomTokens(4000, 1), 97), {});
  EXPECT_EQ(too_long.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(too_long.status().message(),
            "prompt of 4000 tokens and 97 to generate exceed max_context 4096");
  EXPECT_EQ(metrics_.Value("lectern_admission_rejections_total{reason=invalid}"), 6);
  EXPECT_EQ(metrics_.Value("lectern_admission_rejections_total{reason=too_long}"), 1);
  EXPECT_EQ(model_.steps, 0);
  AskAndCheck(Prompt(RandomTokens(60, 6)));  // and goes on
}

TEST_F(EngineTest, TheQueueHasABound) {
  config_.max_running_requests = 1;
  config_.max_waiting_requests = 2;
  Start();
  model_.Hold(true);
  std::vector<Answer> answers = {Ask(*engine_, Prompt(RandomTokens(10, 1)))};
  model_.AwaitSteps(1);  // runs
  for (int i = 0; i < 2; ++i) answers.push_back(Ask(*engine_, Prompt(RandomTokens(10, 1))));
  const auto refused = engine_->Submit(Prompt(RandomTokens(10, 1)), {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.status().message(), "queue full: 2 requests wait, 2 may");
  EXPECT_EQ(engine_->Stats().requests_waiting, 2);
  EXPECT_EQ(metrics_.Value("lectern_admission_rejections_total{reason=queue_full}"), 1);
  model_.Hold(false);
  for (const Answer& answer : answers) EXPECT_EQ(answer->Wait().reason, FinishReason::kLength);
}

TEST_F(EngineTest, CancelFreesEverythingWhateverTheRequestDoes) {
  config_.max_running_requests = 2;
  Start();
  RequestId decoding = 0, prefilling = 0, waiting = 0;
  const Answer first = Ask(*engine_, Prompt(RandomTokens(10, 1), 1000), &decoding);
  first->AwaitTokens(2);
  model_.Hold(true);
  const Answer second = Ask(*engine_, Prompt(RandomTokens(2000, 2), 10), &prefilling);
  const Answer third = Ask(*engine_, Prompt(RandomTokens(10, 3)), &waiting);
  for (const RequestId id : {decoding, prefilling, waiting, RequestId{12345}}) engine_->Cancel(id);
  engine_->Cancel(prefilling);  // twice is once
  model_.Hold(false);
  for (const Answer& answer : {first, second, third}) {
    EXPECT_EQ(answer->Wait().reason, FinishReason::kCancelled);
  }
  AskAndCheck(Prompt(RandomTokens(100, 4)));
  ExpectAllPagesBack();
  EXPECT_EQ(metrics_.Value("lectern_requests_total{finish_reason=cancelled}"), 3);
}

TEST_F(EngineTest, CancelMayBeCalledFromACallback) {
  Start();
  auto answer = std::make_shared<CollectedAnswer>();
  std::atomic<RequestId> id{0};
  RequestCallbacks callbacks;
  callbacks.on_token = [&](const TokenEvent&) { engine_->Cancel(id); };
  callbacks.on_finished = [answer](const Finished& finished) {
    const std::lock_guard lock(answer->mutex);
    answer->finished.push_back(finished);
    answer->changed.notify_all();
  };
  model_.Hold(true);
  id = *engine_->Submit(Prompt(RandomTokens(10, 1), 1000), callbacks);
  model_.Hold(false);
  EXPECT_EQ(answer->Wait().reason, FinishReason::kCancelled);
  EXPECT_LE(answer->Wait().generated_tokens, 2);
}

TEST_F(EngineTest, AFailedStepEndsItsRequestsAndTheLoopLivesOn) {
  Start();
  model_.Hold(true);
  const Answer first = Ask(*engine_, Prompt(RandomTokens(20, 1)));
  model_.AwaitSteps(1);
  const Answer second = Ask(*engine_, Prompt(RandomTokens(20, 2)));
  model_.fail_steps = 1;
  model_.Hold(false);
  const Finished finished = first->Wait();
  EXPECT_EQ(finished.reason, FinishReason::kError);
  EXPECT_EQ(finished.status.message(), "step: made to fail");
  EXPECT_EQ(second->Wait().reason, FinishReason::kLength);
  EXPECT_EQ(second->tokens(), FakeAnswer(RandomTokens(20, 2), 6));
  AskAndCheck(Prompt(RandomTokens(20, 1)));
  ExpectAllPagesBack();
}

TEST_F(EngineTest, TheDestructorCancelsWhatRunsAndWaits) {
  config_.max_running_requests = 1;
  Start();
  const Answer running = Ask(*engine_, Prompt(RandomTokens(10, 1), 2000));
  const Answer waiting = Ask(*engine_, Prompt(RandomTokens(10, 2)));
  running->AwaitTokens(1);
  engine_.reset();
  EXPECT_EQ(running->finished.at(0).reason, FinishReason::kCancelled);
  EXPECT_EQ(waiting->finished.at(0).reason, FinishReason::kCancelled);
}

TEST_F(EngineTest, LimitsAreChecked) {
  config_.max_batch_tokens = 0;
  EXPECT_EQ(Make(false).status().code(), absl::StatusCode::kInvalidArgument);
  config_.max_batch_tokens = 8;
  config_.kv_cache_bytes = 100;
  EXPECT_EQ(Make(false).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(EngineTest, CountsStepsTokensAndPhases) {
  Start();
  AskAndCheck(Prompt(RandomTokens(40, 1), 5));  // one prefill step, four decode steps
  EXPECT_EQ(engine_->Stats().indexer_runs, 10);
  EXPECT_EQ(engine_->Stats().index_reuses, 10);
  EXPECT_EQ(metrics_.Value("lectern_indexer_runs_total"), 10);
  EXPECT_EQ(metrics_.Value("lectern_prompt_tokens_total{source=computed,model=fake-model}"), 40);
  EXPECT_EQ(metrics_.Value("lectern_generation_tokens_total{model=fake-model}"), 5);
  EXPECT_EQ(metrics_.Value("lectern_inter_token_latency_seconds{model=fake-model}"), 4);
  for (const char* phase : {"queue", "restore", "prefill", "decode"}) {
    EXPECT_EQ(
        metrics_.Value(std::string("lectern_request_") + phase + "_seconds{model=fake-model}"), 1);
  }
  EXPECT_EQ(metrics_.Value("lectern_requests_total{finish_reason=length}"), 1);
  EXPECT_EQ(engine_->info().pattern, "FSFS");
  EXPECT_EQ(engine_->info().model_name, "fake-model");
}

// Many threads at once, with random cancels: every answer that ends by length is right, nothing
// leaks.
TEST_F(EngineTest, ConcurrentRequestsWithRandomCancels) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  config_.kv_cache_bytes = 24 * FakeModel(nullptr).kv_layout().page_bytes();
  Start(/*with_tier=*/true);
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  for (uint64_t client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937_64 rng(seed + client);
      for (int i = 0; i < 25; ++i) {
        const auto document = RandomTokens(static_cast<int>(rng() % 3) * 64 + 70, rng() % 4);
        const Request request =
            Prompt(Joined(document, RandomTokens(static_cast<int>(rng() % 20) + 1, rng())), 4);
        RequestId id = 0;
        const Answer answer = Ask(*engine_, request, &id);
        if (rng() % 3 == 0) {
          answer->AwaitTokens(rng() % 3);
          engine_->Cancel(id);
        }
        if (answer->Wait().reason == FinishReason::kLength) {
          EXPECT_EQ(answer->tokens(), FakeAnswer(request.prompt, 4));
          ++answered;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_GT(answered, 0);
  ExpectAllPagesBack();
}

}  // namespace
}  // namespace lectern::runtime
