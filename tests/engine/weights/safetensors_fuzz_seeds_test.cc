// The fuzz entry of tests/fuzz/safetensors_fuzz.cc over a good file, header and index and many
// damaged ones.

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/weights/safetensors_writer.h"
#include "tests/fuzz/seeded_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lectern::weights {
namespace {

void RunEntry(char mode, const std::string& good) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "mode " << int{mode} << " seed " << seed);
  fuzz::RunSeededInputs(good, seed, 5000, [mode](const std::string& input) {
    const std::string chosen = mode + input;
    EXPECT_EQ(
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(chosen.data()), chosen.size()), 0);
  });
}

TEST(SafetensorsFuzzSeedsTest, DamagedInputsAreRefusedOrRead) {
  const std::vector<std::byte> data(24);
  std::vector<TensorToWrite> tensors = {{"f", Dtype::kF32, {2, 1}, std::span(data).first(8)},
                                        {"h", Dtype::kF16, {3}, std::span(data).first(6)},
                                        {"q", Dtype::kF8E4m3, {2, 2}, std::span(data).first(4)}};
  const auto preamble = SafetensorsPreamble(tensors);
  ASSERT_TRUE(preamble.ok()) << preamble.status();
  RunEntry(0, *preamble + std::string(18, '\x7f'));
  RunEntry(1, preamble->substr(8));
  RunEntry(
      2,
      R"({"metadata":{"total_size":18},"weight_map":{"f":"a.safetensors","h":"b.safetensors"}})");
}

}  // namespace
}  // namespace lectern::weights
