#include "engine/config/index_cache_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lectern::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<bool> All(int num_layers) {
  return std::vector<bool>(static_cast<size_t>(num_layers), true);
}

absl::StatusOr<IndexCachePolicy> Make(int num_layers, const IndexCacheFields& fields,
                                      const IndexCacheOverride& override_fields = {},
                                      std::vector<std::string>* warnings = nullptr) {
  return MakeIndexCachePolicy(num_layers, fields, override_fields, All(num_layers), warnings);
}

std::string PatternOf(const absl::StatusOr<IndexCachePolicy>& policy) {
  return policy.ok() ? policy->pattern() : policy.status().ToString();
}

IndexCacheFields Frequency(std::optional<int> freq, std::optional<int> offset) {
  IndexCacheFields fields;
  fields.index_topk_freq = freq;
  fields.index_skip_topk_offset = offset;
  return fields;
}

IndexCacheOverride Override(std::optional<std::string> pattern, std::optional<int> freq,
                            std::optional<int> offset) {
  IndexCacheOverride fields;
  fields.index_topk_pattern = std::move(pattern);
  fields.index_topk_freq = freq;
  fields.index_skip_topk_offset = offset;
  return fields;
}

std::vector<int> FullLayers(const IndexCachePolicy& policy) {
  std::vector<int> layers;
  for (int layer = 0; layer < policy.num_layers(); ++layer) {
    if (policy.full[static_cast<size_t>(layer)]) layers.push_back(layer);
  }
  return layers;
}

TEST(IndexCachePolicyTest, NothingSaidMakesEveryLayerFull) {
  EXPECT_EQ(PatternOf(Make(4, {})), "FFFF");
  EXPECT_EQ(PatternOf(Make(4, Frequency(1, std::nullopt))), "FFFF");
  EXPECT_EQ(PatternOf(Make(4, Frequency(0, std::nullopt))), "FFFF");  // 0 counts as 1
}

// The original patches' max(i - 1, 0) % f: two Full layers at the start.
TEST(IndexCachePolicyTest, DefaultOffsetIsTwo) {
  const auto policy = Make(18, Frequency(4, std::nullopt));
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_THAT(FullLayers(*policy), ElementsAre(0, 1, 5, 9, 13, 17));
  EXPECT_EQ(PatternOf(Make(12, Frequency(4, 2))), "FFSSSFSSSFSS");
}

TEST(IndexCachePolicyTest, OffsetOneIsPlainModulo) {
  const auto policy = Make(17, Frequency(4, 1));
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_THAT(FullLayers(*policy), ElementsAre(0, 4, 8, 12, 16));
}

// GLM-5.2 publishes freq 4, offset 3 over 78 layers; its indexer_types lists 21 full and 57 shared.
// Another engine's reading, max(i - offset, 0), would make 0-3 Full.
TEST(IndexCachePolicyTest, Glm52HasTwentyOneFullLayers) {
  const auto policy = Make(78, Frequency(4, 3));
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->num_full(), 21);
  EXPECT_EQ(policy->pattern().substr(0, 12), "FFFSSSFSSSFS");
  const std::vector<int> full = FullLayers(*policy);
  EXPECT_EQ(full[2], 2);
  EXPECT_EQ(full[3], 6);
  EXPECT_EQ(full.back(), 74);
}

TEST(IndexCachePolicyTest, OffsetBelowOneIsRefused) {
  for (const int offset : {0, -1, -2147483647 - 1}) {
    const auto policy = Make(8, Frequency(4, offset));
    EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(policy.status().message(), HasSubstr("index_skip_topk_offset"));
  }
}

TEST(IndexCachePolicyTest, ExtremeNumbersDoNotOverflow) {
  EXPECT_EQ(PatternOf(Make(3, Frequency(2147483647, 1))), "FSS");
  EXPECT_EQ(PatternOf(Make(3, Frequency(2, 2147483647))), "FFF");
  EXPECT_EQ(PatternOf(Make(3, Frequency(-5, 1))), "FFF");
}

TEST(IndexCachePolicyTest, PatternBeatsFrequencyWithAWarning) {
  IndexCacheFields fields = Frequency(2, 1);
  fields.index_topk_pattern = "FSSS";
  std::vector<std::string> warnings;
  EXPECT_EQ(PatternOf(Make(4, fields, {}, &warnings)), "FSSS");
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("index_topk_freq is ignored")));
}

TEST(IndexCachePolicyTest, AgreeingFieldsDoNotWarn) {
  IndexCacheFields fields = Frequency(4, 1);
  fields.index_topk_pattern = "FSSS";
  fields.indexer_types = {true, false, false, false};
  std::vector<std::string> warnings;
  EXPECT_EQ(PatternOf(Make(4, fields, {}, &warnings)), "FSSS");
  EXPECT_TRUE(warnings.empty());
}

TEST(IndexCachePolicyTest, IndexerTypesBeatEverythingInTheFile) {
  IndexCacheFields fields = Frequency(4, 3);
  fields.index_topk_pattern = "FSFSFS";
  fields.indexer_types = {true, true, false, true, false, false};
  std::vector<std::string> warnings;
  EXPECT_EQ(PatternOf(Make(6, fields, {}, &warnings)), "FFSFSS");
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("index_topk_pattern is ignored"),
                                    HasSubstr("index_topk_freq is ignored")));
}

TEST(IndexCachePolicyTest, LoserThatIsInvalidByItselfOnlyWarns) {
  IndexCacheFields fields = Frequency(4, 0);
  fields.indexer_types = {true, false};
  std::vector<std::string> warnings;
  EXPECT_EQ(PatternOf(Make(2, fields, {}, &warnings)), "FS");
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("index_topk_freq is ignored")));
}

TEST(IndexCachePolicyTest, IndexerTypesOfWrongLengthAreRefused) {
  for (const size_t length : {3U, 5U}) {
    IndexCacheFields fields;
    fields.indexer_types = std::vector<bool>(length, true);
    EXPECT_THAT(Make(4, fields).status().message(), HasSubstr("indexer_types"));
  }
}

TEST(IndexCachePolicyTest, PatternLettersAndLength) {
  IndexCacheFields fields;
  fields.index_topk_pattern = "fsSf";
  EXPECT_EQ(PatternOf(Make(4, fields)), "FSSF");
  fields.index_topk_pattern = "FSSFSS";  // longer: draft layers; cut
  EXPECT_EQ(PatternOf(Make(4, fields)), "FSSF");
  fields.index_topk_pattern = "FSS";
  EXPECT_THAT(Make(4, fields).status().message(), HasSubstr("3 letters for 4 layers"));
  fields.index_topk_pattern = "";
  EXPECT_FALSE(Make(4, fields).ok());
  fields.index_topk_pattern = "FXSS";
  EXPECT_THAT(Make(4, fields).status().message(), HasSubstr("letters F and S"));
}

TEST(IndexCachePolicyTest, FirstLayerMustBeFull) {
  IndexCacheFields fields;
  fields.index_topk_pattern = "SFFF";
  const auto policy = Make(4, fields);
  EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(policy.status().message(), HasSubstr("layer 0"));
}

TEST(IndexCachePolicyTest, OverrideBeatsTheFile) {
  IndexCacheFields fields;
  fields.indexer_types = {true, true, true, true};
  std::vector<std::string> warnings;
  EXPECT_EQ(PatternOf(Make(4, fields, Override("FSFS", std::nullopt, std::nullopt), &warnings)),
            "FSFS");
  EXPECT_EQ(warnings.size(), 1U);
  EXPECT_EQ(PatternOf(Make(6, {}, Override(std::nullopt, 3, std::nullopt))), "FFSSFS");
  EXPECT_EQ(PatternOf(Make(6, {}, Override(std::nullopt, 3, 1))), "FSSFSS");
  // The file's offset stands where only the frequency is overridden.
  EXPECT_EQ(PatternOf(Make(6, Frequency(1, 1), Override(std::nullopt, 3, std::nullopt))), "FSSFSS");
}

TEST(IndexCachePolicyTest, ContradictoryOverridesAreRefused) {
  EXPECT_FALSE(Make(4, {}, Override("FSFS", 2, std::nullopt)).ok());
  EXPECT_THAT(Make(4, {}, Override(std::nullopt, std::nullopt, 2)).status().message(),
              HasSubstr("needs index_topk_freq"));
  EXPECT_THAT(Make(4, {}, Override(std::nullopt, 0, std::nullopt)).status().message(),
              HasSubstr("index_topk_freq"));
  EXPECT_FALSE(Make(4, {}, Override(std::nullopt, 2, 0)).ok());
}

TEST(IndexCachePolicyTest, UseIndexCacheFalseMakesEveryLayerFull) {
  IndexCacheFields fields = Frequency(4, std::nullopt);
  fields.use_index_cache = false;
  EXPECT_EQ(PatternOf(Make(6, fields)), "FFFFFF");
  fields.use_index_cache = true;
  EXPECT_EQ(PatternOf(Make(6, fields)), "FFSSSF");
  // Without weights for every layer it cannot be obeyed, and must not be ignored in silence.
  fields.use_index_cache = false;
  const auto refused =
      MakeIndexCachePolicy(6, fields, {}, {true, true, false, true, true, false}, nullptr);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("use_index_cache"));
  EXPECT_THAT(refused.status().message(), HasSubstr("2, 5"));
}

TEST(IndexCachePolicyTest, FullLayersWithoutWeightsAreNamed) {
  const auto refused = MakeIndexCachePolicy(6, Frequency(2, 1), {},
                                            {true, false, true, false, false, false}, nullptr);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr(": 4"));
  // Weights that a Shared layer has beyond need are no fault.
  EXPECT_EQ(PatternOf(MakeIndexCachePolicy(4, Frequency(2, 1), {}, All(4), nullptr)), "FSFS");
}

TEST(IndexCachePolicyTest, SourceLayersAndRanks) {
  IndexCacheFields fields;
  fields.index_topk_pattern = "FSSFFS";
  const auto policy = Make(6, fields);
  ASSERT_TRUE(policy.ok()) << policy.status();
  std::vector<int> sources;
  std::vector<int> ranks;
  for (int layer = 0; layer < 6; ++layer) {
    sources.push_back(policy->source_layer(layer));
    ranks.push_back(policy->full_index(layer));
  }
  EXPECT_THAT(sources, ElementsAre(0, 0, 0, 3, 4, 4));
  EXPECT_THAT(ranks, ElementsAre(0, -1, -1, 1, 2, -1));
  EXPECT_EQ(policy->num_full(), 3);
}

}  // namespace
}  // namespace lectern::config
