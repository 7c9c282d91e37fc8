// tokenizer.json from outside: damaged files are refused with file and field, never a crash.

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <random>
#include <sstream>

#include "engine/base/status.h"
#include "engine/tokenizer/tokenizer_json.h"
#include "tests/engine/tokenizer/test_tokenizers.h"

namespace lectern::tokenizer {
namespace {

using nlohmann::json;

struct Fault {
  const char* field;  // must appear in the message
  absl::StatusCode code;
  std::function<void(json&)> make;
};

const auto kInvalid = absl::StatusCode::kInvalidArgument;
const auto kUnimplemented = absl::StatusCode::kUnimplemented;

TEST(MalformedTokenizerTest, EveryFaultNamesFileAndField) {
  const json good = SmallTokenizerJson({{"a", "b"}, {"ab", "c"}}, {"<|user|>"});
  const std::vector<Fault> faults = {
      {"model", kInvalid, [](json& f) { f.erase("model"); }},
      {"model", kInvalid, [](json& f) { f["model"] = 5; }},
      {"model.type", kUnimplemented, [](json& f) { f["model"]["type"] = "Unigram"; }},
      {"model.type", kInvalid, [](json& f) { f["model"]["type"] = 7; }},
      {"model.byte_fallback", kUnimplemented, [](json& f) { f["model"]["byte_fallback"] = true; }},
      {"model.byte_fallback", kInvalid, [](json& f) { f["model"]["byte_fallback"] = "no"; }},
      {"model.dropout", kUnimplemented, [](json& f) { f["model"]["dropout"] = 0.1; }},
      {"end_of_word_suffix", kUnimplemented,
       [](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }},
      {"model.unk_token", kInvalid, [](json& f) { f["model"]["unk_token"] = "<none>"; }},
      {"model.vocab", kInvalid, [](json& f) { f["model"]["vocab"] = json::object(); }},
      {"model.vocab", kInvalid, [](json& f) { f["model"]["vocab"] = json::array({1}); }},
      {"model.vocab['q']", kInvalid, [](json& f) { f["model"]["vocab"]["q"] = -1; }},
      {"model.vocab['q']", kInvalid, [](json& f) { f["model"]["vocab"]["q"] = 4'000'000'000U; }},
      {"model.vocab['q']", kInvalid, [](json& f) { f["model"]["vocab"]["q"] = kMaxTokenId + 1; }},
      {"model.vocab['q']", kInvalid, [](json& f) { f["model"]["vocab"]["q"] = 1.5; }},
      {"shares id 97", kInvalid, [](json& f) { f["model"]["vocab"]["q"] = 97; }},
      {"model.merges", kInvalid, [](json& f) { f["model"]["merges"] = "a b"; }},
      {"model.merges[1]", kInvalid,
       [](json& f) {
         f["model"]["merges"][1] = {"a", "z"};
       }},
      {"model.merges[1]", kInvalid, [](json& f) { f["model"]["merges"][1] = {"a"}; }},
      {"model.merges[0]", kInvalid, [](json& f) { f["model"]["merges"][0] = "a b c"; }},
      {"model.merges[0]", kInvalid, [](json& f) { f["model"]["merges"][0] = "ab"; }},
      {"model.merges[0]", kInvalid, [](json& f) { f["model"]["merges"][0] = 3; }},
      {"added_tokens", kInvalid, [](json& f) { f["added_tokens"] = 1; }},
      {"added_tokens[0]", kInvalid, [](json& f) { f["added_tokens"][0] = "x"; }},
      {"added_tokens[0].id", kInvalid, [](json& f) { f["added_tokens"][0].erase("id"); }},
      {"added_tokens[0].id", kInvalid, [](json& f) { f["added_tokens"][0]["id"] = 1U << 31; }},
      {"added_tokens[0].id", kInvalid, [](json& f) { f["added_tokens"][0]["id"] = 97; }},
      {"added_tokens[0].id", kInvalid, [](json& f) { f["added_tokens"][0]["content"] = "a"; }},
      {"added_tokens[0].content", kInvalid, [](json& f) { f["added_tokens"][0].erase("content"); }},
      {"added_tokens[0].content", kInvalid,
       [](json& f) { f["added_tokens"][0]["content"] = std::string(5000, 'x'); }},
      {"added_tokens[0].special", kInvalid, [](json& f) { f["added_tokens"][0]["special"] = 1; }},
      {"added_tokens[1]", kInvalid, [](json& f) { f["added_tokens"][1] = f["added_tokens"][0]; }},
      {"more than 1 MiB", kInvalid,
       [](json& f) {
         for (int i = 0; i < 1100; ++i) {
           const std::string content = std::to_string(i) + std::string(1000, 'x');
           f["added_tokens"].push_back({{"id", 1000 + i}, {"content", content}});
         }
       }},
      {"result of a merge", kInvalid,
       [](json& f) {
         f["added_tokens"][0].update({{"content", "ab"}, {"id", 256}});
       }},
      {"normalizer", kUnimplemented,
       [](json& f) {
         f["normalizer"] = {{"type", "NFC"}};
       }},
      {"normalizer", kInvalid, [](json& f) { f["normalizer"] = "NFC"; }},
      {"pre_tokenizer", kInvalid, [](json& f) { f["pre_tokenizer"] = nullptr; }},
      {"pre_tokenizer", kUnimplemented,
       [](json& f) {
         f["pre_tokenizer"] = {{"type", "Whitespace"}};
       }},
      {"pre_tokenizer[1]", kUnimplemented,
       [](json& f) {
         f["pre_tokenizer"]["pretokenizers"][1] = {{"type", "Digits"}};
       }},
      {"pre_tokenizer[0].behavior", kUnimplemented,
       [](json& f) { f["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "MergedWithNext"; }},
      {"pre_tokenizer[0].pattern", kInvalid,
       [](json& f) { f["pre_tokenizer"]["pretokenizers"][0]["pattern"] = "x"; }},
      {"Split 0", kInvalid,
       [](json& f) { f["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(unclosed"; }},
      {"post_processor.type", kUnimplemented,
       [](json& f) {
         f["post_processor"] = {{"type", "Bert"}};
       }},
      {"post_processor.single", kInvalid,
       [](json& f) {
         f["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::array()}};
       }},
      {"no ids for 'x'", kInvalid,
       [](json& f) {
         f["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", {{{"SpecialToken", {{"id", "x"}}}}}}};
       }},
      {"decoder", kUnimplemented,
       [](json& f) {
         f["decoder"] = {{"type", "WordPiece"}};
       }},
  };
  for (const Fault& fault : faults) {
    json file = good;
    fault.make(file);
    const auto tokenizer = Tokenizer::FromJson(file.dump(), "some/tokenizer.json");
    ASSERT_FALSE(tokenizer.ok()) << fault.field;
    EXPECT_EQ(tokenizer.status().code(), fault.code) << tokenizer.status();
    const std::string message(base::ToStd(tokenizer.status().message()));
    EXPECT_TRUE(message.starts_with("some/tokenizer.json: ")) << message;
    EXPECT_NE(message.find(fault.field), std::string::npos) << message << " lacks " << fault.field;
  }
}

TEST(MalformedTokenizerTest, DeepNestingIsRefusedBeforeParsing) {
  for (const char* bracket : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 1'000'000; ++i) text += bracket;
    const auto tokenizer = Tokenizer::FromJson(text, "deep");
    EXPECT_EQ(tokenizer.status().message(), "deep: nested more than 64 deep");
  }
}

TEST(MalformedTokenizerTest, AbsentFileIsNotFound) {
  EXPECT_EQ(Tokenizer::Load("/nonexistent/tokenizer.json").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Tokenizer::Load(testing::TempDir()).status().code(), absl::StatusCode::kNotFound);
}

class DamagedFileTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path = ConformanceTokenizerPath(std::string(GetParam()) + ".tokenizer.json");
    std::ifstream file(path, std::ios::binary);
    if (!file) GTEST_SKIP() << "absent: " << path;
    std::stringstream stream;
    stream << file.rdbuf();
    contents_ = stream.str();
  }
  std::string contents_;
};

TEST_P(DamagedFileTest, TruncationsAreRefused) {
  for (size_t length = 0; length + 3 < contents_.size(); length += 997) {
    const auto tokenizer =
        Tokenizer::FromJson(std::string_view(contents_).substr(0, length), "cut");
    ASSERT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument) << length;
  }
}

// A flipped bit may leave a valid file (another letter in a name); then the tokenizer must work.
TEST_P(DamagedFileTest, BitFlipsAreRefusedOrHarmless) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  int refused = 0;
  for (int round = 0; round < 150; ++round) {
    std::string damaged = contents_;
    // Half of them in the part before the vocabulary, where the structure is.
    const size_t reach = round % 2 == 0 ? damaged.size() : std::min<size_t>(damaged.size(), 6000);
    for (auto flips = random() % 3 + 1; flips > 0; --flips) {
      damaged[random() % reach] ^= static_cast<char>(1U << random() % 8);
    }
    const auto tokenizer = Tokenizer::FromJson(damaged, "flipped");
    if (!tokenizer.ok()) {
      EXPECT_TRUE(tokenizer.status().code() == kInvalid ||
                  tokenizer.status().code() == kUnimplemented)
          << tokenizer.status();
      EXPECT_EQ(tokenizer.status().message().substr(0, 9), "flipped: ");
      ++refused;
      continue;
    }
    const auto ids = (*tokenizer)->Encode("It's 2,048 tokens: 日本 <|user|>\n\n  \U0001F600", true);
    if (ids.ok()) (*tokenizer)->Decode(*ids, true);
  }
  EXPECT_GT(refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Families, DamagedFileTest, testing::Values("glm", "deepseek"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace lectern::tokenizer
