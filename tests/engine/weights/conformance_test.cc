// Every checkpoint of the conformance set opens, verifies and gives the schedule that its case.json
// names.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engine/weights/checkpoint.h"
#include "engine/weights/safetensors.h"
#include "nlohmann/json.hpp"

namespace lectern::weights {
namespace {

namespace fs = std::filesystem;

// LECTERN_CONFORMANCE_DIR points at a whole set; a lone clone has a part of it.
fs::path ConformanceDirectory() {
  const char* const directory = std::getenv("LECTERN_CONFORMANCE_DIR");
  return directory != nullptr ? fs::path(directory)
                              : fs::path(LECTERN_SOURCE_DIR) / "tests/testdata/conformance";
}

std::vector<std::string> Cases() {
  std::vector<std::string> cases;
  for (const auto& entry : fs::directory_iterator(ConformanceDirectory())) {
    if (fs::exists(entry.path() / "case.json")) cases.push_back(entry.path().filename().string());
  }
  return cases;
}

class ConformanceCase : public testing::TestWithParam<std::string> {
 protected:
  fs::path directory() const { return ConformanceDirectory() / GetParam(); }
  nlohmann::json CaseJson() const {
    std::ifstream file(directory() / "case.json");
    return nlohmann::json::parse(file);
  }
};

TEST_P(ConformanceCase, VerifiesWithTheScheduleOfItsCaseFile) {
  const auto checkpoint = Checkpoint::Open(directory().string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto report = VerifyCheckpoint(**checkpoint, {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->policy.pattern(), CaseJson().at("indexer_types").get<std::string>());
  EXPECT_EQ(report->num_tensors, std::ssize((*checkpoint)->Names()));
  // What is not used is accounted for: nothing of these checkpoints is unknown to the model.
  EXPECT_EQ(report->num_unused, report->num_unused_mtp + report->num_unused_shared_indexer);
}

TEST_P(ConformanceCase, ExpectedTensorsCanBeRead) {
  const auto file = SafetensorsFile::Open((directory() / "expected.safetensors").string());
  ASSERT_TRUE(file.ok()) << file.status();
  const auto ids = (*file)->Find("short.input_ids");
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(ids->dtype, Dtype::kI32);
  EXPECT_EQ(ids->shape, std::vector<int64_t>{40});
}

INSTANTIATE_TEST_SUITE_P(Set, ConformanceCase, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lectern::weights
