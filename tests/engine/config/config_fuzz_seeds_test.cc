// The fuzz entry of tests/fuzz/config_fuzz.cc over a published config and many damaged copies of
// it.

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "tests/fuzz/seeded_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lectern::config {
namespace {

TEST(ConfigFuzzSeedsTest, DamagedConfigsAreRefusedOrRead) {
  std::ifstream file(LECTERN_SOURCE_DIR
                     "/tests/testdata/conformance/e2_v32_indexcache/config.json");
  ASSERT_TRUE(file.good());
  std::stringstream good;
  good << file.rdbuf() << '\0' << R"({"eos_token_id": [1, 2, 5]})";
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  fuzz::RunSeededInputs(good.str(), seed, 5000, [](const std::string& input) {
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size()),
              0);
  });
}

}  // namespace
}  // namespace lectern::config
