#include "engine/sampling/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

namespace lectern::sampling {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

int32_t Pick(const std::vector<float>& logits, const SamplingParams& params, int64_t index = 0,
             const std::vector<int32_t>& history = {}) {
  const auto token = Sample(logits, params, history, index);
  EXPECT_TRUE(token.ok()) << token.status();
  return token.ok() ? token->token_id : -1;
}

SamplingParams Hot(double temperature = 1.0) {
  SamplingParams params;
  params.temperature = temperature;
  params.seed = 7;
  return params;
}

// How often each token comes over `draws` indices.
std::map<int32_t, int> Counts(const std::vector<float>& logits, const SamplingParams& params,
                              int draws) {
  std::map<int32_t, int> counts;
  Sampler sampler;
  for (int index = 0; index < draws; ++index) {
    const auto token = sampler.Sample(logits, params, {}, index);
    EXPECT_TRUE(token.ok()) << token.status();
    if (token.ok()) ++counts[token->token_id];
  }
  return counts;
}

std::vector<int32_t> Support(const std::vector<float>& logits, const SamplingParams& params) {
  std::vector<int32_t> tokens;
  for (const auto& [token, count] : Counts(logits, params, 2000)) tokens.push_back(token);
  return tokens;
}

// log of 0.5, 0.25, 0.15, 0.1, in no order of size.
const std::vector<float> kRow = {std::log(0.15F), std::log(0.5F), std::log(0.1F), std::log(0.25F)};

TEST(SamplerTest, GreedyTakesTheHighestAndTheLowerIdWhereEqual) {
  EXPECT_EQ(Pick({1, 3, 2}, {}), 1);
  EXPECT_EQ(Pick({1, 3, 3, 3}, {}), 1);
  EXPECT_EQ(Pick({-kInfinity, -5}, {}), 1);
  EXPECT_EQ(Pick({0.0F, -0.0F}, {}), 0);
  EXPECT_EQ(Pick({7}, {}), 0);
}

// transformers' rule: positive logits are divided, negative ones multiplied, once a token.
TEST(SamplerTest, RepetitionPenaltyByHand) {
  SamplingParams params;
  params.repetition_penalty = 2.0;
  EXPECT_EQ(Pick({4, 3, 1}, params, 0, {0}), 1);           // 4 -> 2
  EXPECT_EQ(Pick({4, 1.5F, 1}, params, 0, {0, 0, 0}), 0);  // once: 2, not 0.5
  EXPECT_EQ(Pick({-1, -1.5F, -3}, params, 0, {0}), 1);     // -1 -> -2
  EXPECT_EQ(Pick({4, 2, 2}, params, 0, {0}), 0);           // 2, 2, 2: the lower id
  params.repetition_penalty = 0.5;
  EXPECT_EQ(Pick({4, 3, 1}, params, 0, {1}), 1);  // 3 -> 6
  EXPECT_EQ(Pick({-kInfinity, 0}, params, 0, {0}), 1);
}

TEST(SamplerTest, PenaltyComesBeforeTheDraw) {
  SamplingParams params = Hot();
  params.repetition_penalty = 1e6;
  params.top_k = 1;
  EXPECT_EQ(Pick({9, 5, 4}, params, 3, {0}), 1);
}

TEST(SamplerTest, FiltersKeepTheRightTokens) {
  EXPECT_THAT(Support(kRow, Hot()), ElementsAre(0, 1, 2, 3));
  SamplingParams params = Hot();
  params.top_k = 2;
  EXPECT_THAT(Support(kRow, params), ElementsAre(1, 3));
  params.top_k = 100;
  EXPECT_THAT(Support(kRow, params), ElementsAre(0, 1, 2, 3));
  params = Hot();
  params.top_p = 0.45;  // the first alone reaches it
  EXPECT_THAT(Support(kRow, params), ElementsAre(1));
  params.top_p = 0.55;  // 0.5 does not, 0.75 does: the one that crosses is kept
  EXPECT_THAT(Support(kRow, params), ElementsAre(1, 3));
  params.top_p = 0.89;
  EXPECT_THAT(Support(kRow, params), ElementsAre(0, 1, 3));
  params = Hot();
  params.min_p = 0.28;  // of 0.5: 0.14
  EXPECT_THAT(Support(kRow, params), ElementsAre(0, 1, 3));
  params.min_p = 0.9;
  EXPECT_THAT(Support(kRow, params), ElementsAre(1));
}

// top-k to {0.5, 0.25, 0.15}; min-p 0.4 of 0.5 cuts 0.15; of what is left 0.5 is 2/3, which reaches
// 0.6. Were top-p taken before min-p, over {0.5, 0.25, 0.15}, 0.5 would be 0.556 and 0.25 would
// stay.
TEST(SamplerTest, MinPComesBeforeTopP) {
  SamplingParams params = Hot();
  params.top_k = 3;
  params.min_p = 0.4;
  params.top_p = 0.6;
  EXPECT_THAT(Support(kRow, params), ElementsAre(1));
  params.top_p = 0.7;
  EXPECT_THAT(Support(kRow, params), ElementsAre(1, 3));
}

// Temperature 0.5 squares the probabilities: 0.25 of 0.345 in all = 0.7246 for the first.
TEST(SamplerTest, TemperatureComesBeforeTheFilters) {
  SamplingParams params = Hot(0.5);
  params.top_p = 0.72;
  EXPECT_THAT(Support(kRow, params), ElementsAre(1));
  params.top_p = 0.73;
  EXPECT_THAT(Support(kRow, params), ElementsAre(1, 3));
}

TEST(SamplerTest, EqualLogitsAreCutByIdInTopKAndTopP) {
  const std::vector<float> equal(600, 1.0F);
  SamplingParams params = Hot();
  params.top_k = 2;
  EXPECT_THAT(Support(equal, params), ElementsAre(0, 1));
  params.top_k = 0;
  params.top_p = 2.5 / 600;
  EXPECT_THAT(Support(equal, params), ElementsAre(0, 1, 2));
}

// 300 of 400 equal tokens: past the first sorted piece of 256.
TEST(SamplerTest, TopPBeyondTheFirstSortedPiece) {
  const std::vector<float> equal(400, 0.0F);
  SamplingParams params = Hot();
  params.top_p = 299.5 / 400;
  int32_t greatest = 0;
  for (const auto& [token, count] : Counts(equal, params, 6000))
    greatest = std::max(greatest, token);
  EXPECT_EQ(greatest, 299);
}

// Chi-square with 3 degrees of freedom passes 25 with probability 1.5e-5; the seed is fixed.
TEST(SamplerTest, DrawsFollowTheDistribution) {
  const std::vector<double> expected = {0.15, 0.5, 0.1, 0.25};
  constexpr int kDraws = 40'000;
  for (const bool sorted : {false, true}) {
    SamplingParams params = Hot();
    params.top_k = sorted ? 4 : 0;
    const auto counts = Counts(kRow, params, kDraws);
    double chi_square = 0;
    for (const auto& [token, count] : counts) {
      const double wanted = expected[static_cast<size_t>(token)] * kDraws;
      chi_square += (count - wanted) * (count - wanted) / wanted;
    }
    EXPECT_LT(chi_square, 25);
  }
}

TEST(SamplerTest, SeedAndIndexAloneDecideTheDraw) {
  const std::vector<float> row(50, 0.0F);
  Sampler used;
  for (int index = 0; index < 20; ++index) {
    const auto again = used.Sample(row, Hot(), {}, index);
    EXPECT_EQ(again->token_id, Pick(row, Hot(), index));  // a resumed request has a fresh sampler
  }
  SamplingParams other = Hot();
  other.seed = 8;
  int equal = 0;
  for (int index = 0; index < 50; ++index)
    equal += Pick(row, Hot(), index) == Pick(row, other, index);
  EXPECT_LT(equal, 10);
}

TEST(SamplerTest, ExtremeTemperaturesStayFinite) {
  EXPECT_EQ(Pick({1, 2, 3}, Hot(1e-300)), 2);
  EXPECT_EQ(Pick({-kInfinity, -3e38F, 3e38F}, Hot(1e-3)), 2);
  EXPECT_THAT(Support({-kInfinity, 1, 50}, Hot(1e300)), ElementsAre(1, 2));  // masked stays masked
  SamplingParams params = Hot();
  params.repetition_penalty = 1e-6;
  EXPECT_EQ(Pick({3e38F, 0}, params, 0, {0}), 0);
}

// log(0.5) = -0.69 times 100 falls behind log(0.25); its own log-probability is told unpenalised.
TEST(SamplerTest, LogprobsAreOfTheRawRow) {
  SamplingParams params;
  params.logprobs = 1;
  params.repetition_penalty = 100;
  const std::vector<int32_t> history = {1};
  const auto token = Sample(kRow, params, history, 0);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->token_id, 3);
  EXPECT_NEAR(*token->logprob, std::log(0.25), 1e-6);
  EXPECT_EQ(token->top_logprobs[0].token_id, 1);
  EXPECT_NEAR(token->top_logprobs[0].logprob, std::log(0.5), 1e-6);
}

TEST(SamplerTest, LogprobsByHand) {
  SamplingParams params;
  params.logprobs = 3;
  auto token = Sample(kRow, params, {}, 0);
  ASSERT_TRUE(token.ok()) << token.status();
  ASSERT_TRUE(token->logprob.has_value());
  EXPECT_NEAR(*token->logprob, std::log(0.5), 1e-6);
  ASSERT_EQ(token->top_logprobs.size(), 3U);
  EXPECT_EQ(token->top_logprobs[0].token_id, 1);
  EXPECT_EQ(token->top_logprobs[1].token_id, 3);
  EXPECT_EQ(token->top_logprobs[2].token_id, 0);
  EXPECT_NEAR(token->top_logprobs[2].logprob, std::log(0.15), 1e-6);
  params.logprobs = 0;  // the chosen token's alone
  token = Sample(kRow, params, {}, 0);
  EXPECT_TRUE(token->logprob.has_value());
  EXPECT_TRUE(token->top_logprobs.empty());
  params.logprobs = -1;
  EXPECT_FALSE(Sample(kRow, params, {}, 0)->logprob.has_value());
  params.logprobs = 50;  // more than there are
  EXPECT_EQ(Sample(kRow, params, {}, 0)->top_logprobs.size(), 4U);
  params.logprobs = 3;
  const std::vector<float> ties = {2, 5, 5, 1000, -kInfinity};
  token = Sample(ties, params, {}, 0);
  EXPECT_EQ(token->top_logprobs[1].token_id, 1);
  EXPECT_EQ(token->top_logprobs[2].token_id, 2);
  EXPECT_NEAR(token->top_logprobs[2].logprob, -995, 1e-3);
}

TEST(SamplerTest, DamagedRowsAreErrors) {
  for (const auto& row : std::vector<std::vector<float>>{
           {1, kNan}, {kInfinity, 1}, {-kInfinity, -kInfinity}, {kNan}}) {
    EXPECT_EQ(Sample(row, {}, {}, 0).status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(Sample(row, Hot(), {}, 0).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_THAT(Sample(std::vector<float>{1, kNan}, {}, {}, 0).status().message(),
              HasSubstr("token 1"));
  EXPECT_EQ(Sample({}, {}, {}, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(Sample(kRow, {}, {}, -1).ok());
  SamplingParams params;
  params.repetition_penalty = 2;
  for (const int32_t token : {-1, 4}) {
    const std::vector<int32_t> history = {0, token};
    EXPECT_THAT(Sample(kRow, params, history, 0).status().message(), HasSubstr("history"));
  }
}

TEST(SamplingParamsTest, ValidateNamesTheField) {
  EXPECT_TRUE(Validate({}).ok());
  const auto refused = [](auto change, const char* field) {
    SamplingParams params;
    change(params);
    const absl::Status status = Validate(params);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(status.message(), HasSubstr(field));
    EXPECT_FALSE(Sample(kRow, params, {}, 0).ok());
  };
  for (const double bad : {-0.1, static_cast<double>(kNan), static_cast<double>(kInfinity)}) {
    refused([bad](SamplingParams& p) { p.temperature = bad; }, "temperature");
    refused([bad](SamplingParams& p) { p.top_p = bad; }, "top_p");
    refused([bad](SamplingParams& p) { p.min_p = bad; }, "min_p");
    refused([bad](SamplingParams& p) { p.repetition_penalty = bad; }, "repetition_penalty");
  }
  refused([](SamplingParams& p) { p.top_p = 0; }, "top_p");
  refused([](SamplingParams& p) { p.top_p = 1.01; }, "top_p");
  refused([](SamplingParams& p) { p.min_p = 1; }, "min_p");
  refused([](SamplingParams& p) { p.top_k = -1; }, "top_k");
  refused([](SamplingParams& p) { p.repetition_penalty = 0; }, "repetition_penalty");
  refused([](SamplingParams& p) { p.logprobs = -2; }, "logprobs");
  refused([](SamplingParams& p) { p.logprobs = kMaxLogprobs + 1; }, "logprobs");
}

// Random rows and settings: the token is in the row, greedy equals top_k 1, and one sampler's
// scratch from rows of other lengths never shows.
TEST(SamplerTest, RandomRowsAgreeWithAFreshSampler) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  Sampler sampler;
  for (int round = 0; round < 300; ++round) {
    std::vector<float> row(1 + random() % 900);
    for (float& logit : row)
      logit = static_cast<float>(static_cast<int>(random() % 4001) - 2000) / 200;
    SamplingParams params = Hot(0.1 + static_cast<double>(random() % 30) / 10);
    params.seed = random();
    params.top_k = static_cast<int>(random() % 3 == 0 ? random() % 1000 : 0);
    params.top_p = random() % 2 == 0 ? 1.0 : static_cast<double>(1 + random() % 1000) / 1000;
    params.min_p = random() % 2 == 0 ? 0.0 : static_cast<double>(random() % 1000) / 1000;
    params.repetition_penalty = random() % 2 == 0 ? 1.0 : 1.3;
    const std::vector<int32_t> history = {static_cast<int32_t>(random() % row.size())};
    const auto token = sampler.Sample(row, params, history, round);
    ASSERT_TRUE(token.ok()) << token.status();
    ASSERT_EQ(token->token_id, Pick(row, params, round, history));
    SamplingParams greedy = params;
    greedy.temperature = 0;
    params.top_k = 1;
    EXPECT_EQ(Pick(row, params, round, history), Pick(row, greedy, round, history));
  }
}

}  // namespace
}  // namespace lectern::sampling
