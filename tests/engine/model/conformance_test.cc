// The float32 reference against the published reference's answers: every case of the conformance
// set, both sequences, several chunk sizes. Catches any slip in the maths: the set's notes list
// what each would move. LECTERN_CONFORMANCE_DIR points at a whole set; the source tree carries a
// part of it.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>

#include "engine/inspect.h"
#include "engine/weights/safetensors.h"

namespace lectern {
namespace {

// Ten times the oracle's own float32 noise, as the set's notes ask.
constexpr double kMaxDifference = 5e-4;
constexpr double kRmsDifference = 5e-5;
// What the set was made with.
constexpr double kLatentNormEps = 1e-6;

std::string SetDirectory() {
  const char* given = std::getenv("LECTERN_CONFORMANCE_DIR");
  return given != nullptr ? given : LECTERN_SOURCE_DIR "/tests/testdata/conformance";
}

template <typename T>
std::vector<T> Values(const weights::SafetensorsFile& file, const std::string& name) {
  const auto tensor = file.Find(name);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  if (!tensor.ok()) return {};
  std::vector<T> out(tensor->data.size() / sizeof(T));
  std::memcpy(out.data(), tensor->data.data(), tensor->data.size());
  return out;
}

void ExpectClose(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  double most = 0;
  double square = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = std::fabs(double{actual[i]} - double{expected[i]});
    most = std::isnan(difference) ? INFINITY : std::max(most, difference);
    square += difference * difference;
  }
  const double rms = std::sqrt(square / static_cast<double>(actual.size()));
  EXPECT_LE(most, kMaxDifference);
  EXPECT_LE(rms, kRmsDifference);
  testing::Test::RecordProperty("max_difference", std::to_string(most));
  testing::Test::RecordProperty("rms_difference", std::to_string(rms));
}

using Case = std::tuple<const char*, const char*, int>;  // case, sequence, chunk (0: whole)

class ConformanceTest : public testing::TestWithParam<Case> {};

TEST_P(ConformanceTest, LogitsSelectionsAndGreedyTokens) {
  const auto& [name, sequence, chunk] = GetParam();
  const std::string directory = SetDirectory() + "/" + name;
  if (!std::filesystem::exists(directory)) GTEST_SKIP() << directory << " is not there";
  const auto expected = weights::SafetensorsFile::Open(directory + "/expected.safetensors");
  ASSERT_TRUE(expected.ok()) << expected.status();
  InspectOptions options;
  options.latent_norm_eps = kLatentNormEps;
  const auto inspector = Inspector::Open(directory, options);
  ASSERT_TRUE(inspector.ok()) << inspector.status();

  const std::string prefix = std::string(sequence) + ".";
  const auto ids = Values<int32_t>(**expected, prefix + "input_ids");
  const auto result = (*inspector)->Run(ids, chunk, true);
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectClose(result->logits, Values<float>(**expected, prefix + "logits"));

  size_t num_choices = 0;
  for (const auto& [tensor, unused] : (*expected)->tensors()) {
    if (!tensor.starts_with(prefix + "topk.")) continue;
    ++num_choices;
    const int layer = std::stoi(tensor.substr(prefix.size() + 5));
    ASSERT_TRUE(result->topk.contains(layer)) << tensor;
    EXPECT_EQ(result->topk.at(layer), Values<int32_t>(**expected, tensor)) << tensor;
  }
  EXPECT_EQ(result->topk.size(), num_choices);

  const auto greedy = Values<int32_t>(**expected, prefix + "greedy_ids");
  const auto actual = (*inspector)->Greedy(ids, static_cast<int>(greedy.size()), chunk);
  ASSERT_TRUE(actual.ok()) << actual.status();
  EXPECT_EQ(*actual, greedy);
}

// The other instruction-set paths are float32 references too: the long sequence of every case.
class PathTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(PathTest, Logits) {
  const auto& [name, path] = GetParam();
  const std::string directory = SetDirectory() + "/" + name;
  if (!std::filesystem::exists(directory)) GTEST_SKIP() << directory << " is not there";
  const auto expected = weights::SafetensorsFile::Open(directory + "/expected.safetensors");
  ASSERT_TRUE(expected.ok()) << expected.status();
  InspectOptions options;
  options.latent_norm_eps = kLatentNormEps;
  options.instruction_set = path;
  const auto inspector = Inspector::Open(directory, options);
  ASSERT_TRUE(inspector.ok()) << inspector.status();
  const auto ids = Values<int32_t>(**expected, "long.input_ids");
  const auto result = (*inspector)->Run(ids, 64, false);
  if (absl::IsInvalidArgument(result.status())) GTEST_SKIP() << result.status();
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectClose(result->logits, Values<float>(**expected, "long.logits"));
}

// Cached decoding gives the logits of full recomputation.
class ContinuationTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(ContinuationTest, GreedyLogits) {
  const auto& [name, sequence] = GetParam();
  const std::string directory = SetDirectory() + "/" + name;
  if (!std::filesystem::exists(directory)) GTEST_SKIP() << directory << " is not there";
  const auto expected = weights::SafetensorsFile::Open(directory + "/expected.safetensors");
  ASSERT_TRUE(expected.ok()) << expected.status();
  InspectOptions options;
  options.latent_norm_eps = kLatentNormEps;
  const auto inspector = Inspector::Open(directory, options);
  ASSERT_TRUE(inspector.ok()) << inspector.status();

  const std::string prefix = std::string(sequence) + ".";
  auto ids = Values<int32_t>(**expected, prefix + "input_ids");
  const auto greedy = Values<int32_t>(**expected, prefix + "greedy_ids");
  const size_t prompt = ids.size();
  ids.insert(ids.end(), greedy.begin(), greedy.end());
  const auto result = (*inspector)->Run(ids, 1, false);
  ASSERT_TRUE(result.ok()) << result.status();
  const auto vocab = static_cast<size_t>((*inspector)->config().vocab_size);
  const auto first = result->logits.begin() + static_cast<std::ptrdiff_t>((prompt - 1) * vocab);
  const std::vector<float> actual(first,
                                  first + static_cast<std::ptrdiff_t>(greedy.size() * vocab));
  ExpectClose(actual, Values<float>(**expected, prefix + "greedy_logits"));
}

const auto kCases =
    testing::Values("a_full", "b_freq", "c_pattern", "d_indexer_types", "e1_v32_yarn",
                    "e2_v32_indexcache", "f_bf16", "g1_tied", "g2_variants", "h_sharded");
const auto kSequences = testing::Values("short", "long");

INSTANTIATE_TEST_SUITE_P(AllCases, ConformanceTest,
                         testing::Combine(kCases, kSequences, testing::Values(1, 7, 64, 0)),
                         [](const testing::TestParamInfo<Case>& info) {
                           const int chunk = std::get<2>(info.param);
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param) + "_" +
                                  (chunk == 0 ? "whole" : std::to_string(chunk));
                         });
INSTANTIATE_TEST_SUITE_P(AllCases, PathTest,
                         testing::Combine(kCases, testing::Values("generic", "avx2", "avx512")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param);
                         });
INSTANTIATE_TEST_SUITE_P(AllCases, ContinuationTest, testing::Combine(kCases, kSequences),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param);
                         });

}  // namespace
}  // namespace lectern
