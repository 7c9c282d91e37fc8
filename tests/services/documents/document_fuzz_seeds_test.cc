// The fuzz entry of tests/fuzz/document_fuzz.cc over texts with everything in them and many damaged
// copies.

#include <cstdio>
#include <random>

#include "gtest/gtest.h"
#include "tests/fuzz/seeded_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lectern::documents {
namespace {

void RunEntry(char kind, const std::string& good) {
  const uint64_t seed = std::random_device{}();
  std::fprintf(stderr, "kind %d seed %llu\n", kind, static_cast<unsigned long long>(seed));
  fuzz::RunSeededInputs(
      good, seed, 1500,
      [kind](const std::string& input) {
        const std::string chosen = std::string(1, kind) + '\x20' + input;
        EXPECT_EQ(
            LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(chosen.data()), chosen.size()),
            0);
      },
      200);
}

constexpr char kText[] =
    "# Title of it\n\nThe quick brown\nfox jumps over a compat-\nibility layer. “Schön”, "
    "日本語の文。😀 It ends.\n"
    "- item one\n- item two\n3. third\n\n| a | b |\n|---|---|\n1.2 Usage . . . . 7\nname   age   "
    "town\n"
    "Last line here\nand over the page\nbreak it goes. Mr. Smith left!\n";

TEST(DocumentFuzzSeedsTest, DamagedTextsAreRefusedOrRead) { RunEntry(0, kText); }
TEST(DocumentFuzzSeedsTest, DamagedQuotesAreFoundExactlyOrNot) {
  RunEntry(1, std::string(kText) + "fox jumps over a compatibility layer. \"Schön\", 日本語");
}
TEST(DocumentFuzzSeedsTest, DamagedQuestionsStillChoose) {
  RunEntry(2, std::string(kText) + "What \"does\" the fox* OR NEAR(jump, \"layer) do?");
}

}  // namespace
}  // namespace lectern::documents
