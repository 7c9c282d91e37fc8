#include "services/cli/engine_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/status.h"

namespace lectern::cli {
namespace {

using std::chrono::steady_clock;

// Prefills longer than this are measured once.
constexpr double kLongPrefillSeconds = 5.0;

// What the callbacks of a batch note. They run on the engine's thread.
struct BatchLog {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<steady_clock::time_point>> token_times;
  std::vector<Finished> finished;
  size_t num_finished = 0;
};

std::vector<int32_t> RandomTokens(int64_t count, int vocab_size, std::mt19937_64& random) {
  std::uniform_int_distribution<int32_t> draw(0, vocab_size - 1);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = draw(random);
  return tokens;
}

struct BatchRequest {
  std::vector<std::vector<int32_t>> prompts;
  int64_t decode = 1;
  bool use_cache = false;
};

// Submits all prompts at once and waits for the last. Times are seconds since the first Submit.
absl::StatusOr<EngineBenchRun> RunBatch(Engine& engine, const BatchRequest& batch) {
  const auto log = std::make_shared<BatchLog>();
  log->token_times.resize(batch.prompts.size());
  log->finished.resize(batch.prompts.size());
  const auto begin = steady_clock::now();
  size_t submitted = 0;
  absl::Status refused;
  for (size_t i = 0; i < batch.prompts.size() && refused.ok(); ++i) {
    Request request;
    request.prompt = batch.prompts[i];
    request.max_new_tokens = static_cast<int>(batch.decode);
    request.use_cache = batch.use_cache;
    RequestCallbacks callbacks;
    callbacks.on_token = [log, i](const TokenEvent&) {
      const std::lock_guard lock(log->mutex);
      log->token_times[i].push_back(steady_clock::now());
    };
    callbacks.on_finished = [log, i](const Finished& finished) {
      const std::lock_guard lock(log->mutex);
      log->finished[i] = finished;
      ++log->num_finished;
      log->changed.notify_all();
    };
    refused = engine.Submit(std::move(request), std::move(callbacks)).status();
    if (refused.ok()) ++submitted;
  }
  std::unique_lock lock(log->mutex);
  log->changed.wait(lock, [&] { return log->num_finished == submitted; });
  RETURN_IF_ERROR(refused);

  EngineBenchRun run;
  const auto seconds = [&](steady_clock::time_point at) { return base::Seconds(at - begin); };
  std::vector<double> first_tokens;
  double end = 0;
  for (size_t i = 0; i < batch.prompts.size(); ++i) {
    const Finished& finished = log->finished[i];
    RETURN_IF_ERROR(finished.status);
    if (log->token_times[i].empty()) return absl::InternalError("a request ended without a token");
    first_tokens.push_back(seconds(log->token_times[i].front()));
    end = std::max(end, seconds(log->token_times[i].back()));
    run.cached_tokens += finished.prompt_tokens.device + finished.prompt_tokens.disk;
  }
  run.ttft_seconds = Median(first_tokens);
  run.prefill_seconds = *std::max_element(first_tokens.begin(), first_tokens.end());
  run.decode_seconds = end - run.prefill_seconds;
  for (const std::vector<steady_clock::time_point>& times : log->token_times) {
    for (size_t j = 1; j < times.size(); ++j) {
      if (seconds(times[j]) <= run.prefill_seconds) continue;  // others were still prefilling
      ++run.decode_tokens;
      run.step_seconds.push_back(base::Seconds(times[j] - times[j - 1]));
    }
  }
  return run;
}

absl::StatusOr<EngineBenchRun> RunOnce(Engine& engine, const EngineBenchOptions& options,
                                       std::mt19937_64& random) {
  const int vocab_size = engine.info().vocab_size;
  BatchRequest batch{.prompts = {}, .decode = options.decode, .use_cache = false};
  for (int i = 0; i < options.batch; ++i) {
    batch.prompts.push_back(RandomTokens(options.context, vocab_size, random));
  }
  if (options.restore == RestoreFrom::kNothing) return RunBatch(engine, batch);

  // The context once, so that its pages are there; then the same with a question behind it.
  BatchRequest cold{.prompts = batch.prompts, .decode = 1, .use_cache = true};
  ASSIGN_OR_RETURN(const EngineBenchRun cold_run, RunBatch(engine, cold));
  if (options.restore == RestoreFrom::kDisk) {
    RETURN_IF_ERROR(engine.FlushTiers());
    engine.DropMemoryCache();
  }
  for (std::vector<int32_t>& prompt : batch.prompts) {
    const std::vector<int32_t> question = RandomTokens(options.question_tokens, vocab_size, random);
    prompt.insert(prompt.end(), question.begin(), question.end());
  }
  batch.use_cache = true;
  ASSIGN_OR_RETURN(EngineBenchRun run, RunBatch(engine, batch));
  run.cold_ttft_seconds = cold_run.ttft_seconds;
  return run;
}

}  // namespace

absl::StatusOr<EngineBenchResult> RunEngineBench(Engine& engine,
                                                 const EngineBenchOptions& options) {
  std::mt19937_64 random(options.seed);
  EngineBenchResult result;
  absl::StatusOr<EngineBenchRun> warm_up = RunOnce(engine, options, random);
  if (!warm_up.ok()) return base::Annotate(warm_up.status(), "warm-up");
  const double prefill = std::max(warm_up->prefill_seconds, warm_up->cold_ttft_seconds);
  const int reps = prefill > kLongPrefillSeconds ? 1 : options.reps;
  for (int rep = 0; rep < reps; ++rep) {
    absl::StatusOr<EngineBenchRun> run = RunOnce(engine, options, random);
    if (!run.ok()) return base::Annotate(run.status(), "measured run");
    result.runs.push_back(*std::move(run));
  }
  return result;
}

double Percentile(std::vector<double> values, double share) {
  LECTERN_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<size_t>(rank, 1, values.size()) - 1];
}

double Median(std::vector<double> values) {
  LECTERN_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace lectern::cli
