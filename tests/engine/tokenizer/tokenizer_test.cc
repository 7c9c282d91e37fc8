#include "engine/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/split_regex.h"
#include "tests/engine/tokenizer/test_tokenizers.h"

namespace lectern::tokenizer {
namespace {

using nlohmann::json;

// The words that a Split expression alone leaves; shown by a tokenizer whose merges join
// everything.
std::vector<std::string> Words(const std::string& pattern, const std::string& text) {
  const auto regex = SplitRegex::Compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.status();
  RegexScratch scratch;
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const auto match = regex->Find(text, at, scratch);
    EXPECT_TRUE(match.ok()) << match.status();
    if (!match.ok() || !match->has_value() || (*match)->end == at) break;
    words.push_back(text.substr((*match)->begin, (*match)->end - (*match)->begin));
    at = (*match)->end;
  }
  return words;
}

std::string Bytes(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string bytes;
  for (const int32_t id : ids) tokenizer.AppendTokenBytes(id, false, bytes);
  return bytes;
}

TEST(SplitRegexTest, WhiteSpaceIsUnicodesAndNotPcre2s) {
  // U+180E was white space until Unicode 6.3 and is still in PCRE2's \s.
  EXPECT_EQ(Words(R"(\s+|\S+)", "a\u180Eb\u00A0\u2003c\u0085"),
            (std::vector<std::string>{"a\u180Eb", "\u00A0\u2003", "c", "\u0085"}));
  EXPECT_EQ(Words(R"([^\s]+|\s)", "a\u180E b"), (std::vector<std::string>{"a\u180E", " ", "b"}));
  EXPECT_EQ(Words(R"(\w+|\W)", "a_1\u00B2\u0301"),
            (std::vector<std::string>{"a_1", "\u00B2", "\u0301"}));
}

TEST(SplitRegexTest, RefusesWhatTheLibrariesReadDifferently) {
  for (const char* pattern : {"[a[bc]]", "[a&&b]", R"(\p{N}{1,3}+)", R"([\W])"}) {
    EXPECT_EQ(SplitRegex::Compile(pattern).status().code(), absl::StatusCode::kUnimplemented)
        << pattern;
  }
  for (const char* pattern : {"(", "[", R"(\C)", R"(\p{Nonsense})", "\xFF"}) {
    EXPECT_EQ(SplitRegex::Compile(pattern).status().code(), absl::StatusCode::kInvalidArgument)
        << pattern;
  }
}

TEST(SplitRegexTest, HostileExpressionEndsInAnError) {
  const auto regex = SplitRegex::Compile("(a+)+$");
  ASSERT_TRUE(regex.ok());
  RegexScratch scratch;
  const std::string text = std::string(5000, 'a') + "b";
  EXPECT_EQ(regex->Find(text, 0, scratch).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(SplitRegexTest, DeepBacktrackingFallsBackToTheHeap) {
  // Outgrows the compiled code's 32 KiB of stack.
  const auto regex = SplitRegex::Compile("(?:(a)|(b))*c");
  ASSERT_TRUE(regex.ok());
  RegexScratch scratch;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "ab";
  text += 'c';
  const auto match = regex->Find(text, 0, scratch);
  ASSERT_TRUE(match.ok()) << match.status();
  EXPECT_EQ((*match)->end, text.size());
}

TEST(TokenizerTest, LongRunsOfOneKindEncode) {
  const auto glm = LoadConformanceTokenizer("glm");
  SKIP_WITHOUT(glm, "glm");
  const auto deepseek = LoadConformanceTokenizer("deepseek");
  SKIP_WITHOUT(deepseek, "deepseek");
  for (const char* unit :
       {" ", "\n", "a", "1", "!", "\u4E00", " \n", "\t ", "'s", "\x01", "\x80"}) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    for (const Tokenizer* tokenizer : {glm.get(), deepseek.get()}) {
      const auto ids = tokenizer->EncodePlain(text);
      ASSERT_TRUE(ids.ok()) << ids.status() << " for " << unit;
      EXPECT_EQ(Bytes(*tokenizer, *ids), text);
    }
  }
}

TEST(TokenizerTest, AnyBytesComeBack) {
  const auto glm = LoadConformanceTokenizer("glm");
  SKIP_WITHOUT(glm, "glm");
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    std::string text(random() % 200, '\0');
    for (char& c : text)
      c = static_cast<char>(random() % 3 == 0 ? random() % 256 : 'a' + random() % 3);
    for (const auto& ids : {glm->EncodePlain(text), glm->Encode(text, true)}) {
      ASSERT_TRUE(ids.ok()) << ids.status();
      ASSERT_EQ(Bytes(*glm, *ids), text);
    }
  }
}

// The queue (long words) against the definition: the lowest rank first, then the leftmost.
TEST(BpeTest, LongAndShortWordsMergeByTheSameRule) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  BpeSpec spec;
  spec.byte_ids.fill(-1);
  for (int32_t i = 0; i < 3; ++i) spec.byte_ids[static_cast<size_t>('a' + i)] = i;
  for (int32_t next = 3; next < 60; ++next) {
    spec.merges.push_back({static_cast<int32_t>(random() % static_cast<unsigned>(next)),
                           static_cast<int32_t>(random() % static_cast<unsigned>(next)), next});
  }
  const Bpe bpe(spec);
  for (int round = 0; round < 400; ++round) {
    std::string word(random() % 120 + 1, 'a');
    for (char& c : word) c = static_cast<char>('a' + random() % 3);
    std::vector<int32_t> expected;
    for (const char c : word) expected.push_back(c - 'a');
    while (true) {
      size_t best_rank = spec.merges.size();
      size_t best_at = 0;
      for (size_t at = 0; at + 1 < expected.size(); ++at) {
        // A pair that was given twice has its last rank.
        for (size_t rank = spec.merges.size(); rank-- > 0;) {
          if (spec.merges[rank].left != expected[at] ||
              spec.merges[rank].right != expected[at + 1]) {
            continue;
          }
          if (rank < best_rank) {
            best_rank = rank;
            best_at = at;
          }
          break;
        }
      }
      if (best_rank == spec.merges.size()) break;
      expected[best_at] = spec.merges[best_rank].result;
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
    }
    std::vector<int32_t> ids;
    bpe.EncodeWord(word, ids);
    ASSERT_EQ(ids, expected) << word;
  }
}

TEST(BpeTest, IgnoreMergesTakesWholeWordsButNoSpecialOnes) {
  json file = SmallTokenizerJson({{"a", "b"}}, {});
  file["model"]["vocab"]["abc"] = 300;
  file["model"]["vocab"]["xyz"] = 301;
  file["added_tokens"] = {{{"id", 301}, {"content", "xyz"}, {"special", true}}};
  EXPECT_EQ(*LoadJson(file)->EncodePlain("abc"), (std::vector<int32_t>{256, 'c'}));
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(*LoadJson(file)->EncodePlain("abc"), (std::vector<int32_t>{300}));
  EXPECT_EQ(*LoadJson(file)->EncodePlain("xyz"), (std::vector<int32_t>{'x', 'y', 'z'}));
  EXPECT_EQ(*LoadJson(file)->Encode("xyz", false), (std::vector<int32_t>{301}));
}

TEST(BpeTest, BytesWithoutATokenBecomeUnknownOrVanish) {
  json file = SmallTokenizerJson({}, {});
  file["model"]["vocab"].erase("z");
  file["model"]["vocab"]["<unk>"] = 400;
  EXPECT_EQ(*LoadJson(file)->EncodePlain("azzb"), (std::vector<int32_t>{'a', 'b'}));
  file["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(*LoadJson(file)->EncodePlain("azzb"), (std::vector<int32_t>{'a', 400, 400, 'b'}));
  file["model"]["fuse_unk"] = true;
  EXPECT_EQ(*LoadJson(file)->EncodePlain("azzb"), (std::vector<int32_t>{'a', 400, 'b'}));
}

TEST(PreTokenizerTest, ByteLevelAloneSplitsAsGpt2AndPrefixesASpace) {
  json file = SmallTokenizerJson({{"Ġ", "a"}}, {});
  file["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}};
  EXPECT_EQ(*LoadJson(file)->EncodePlain("a a"), (std::vector<int32_t>{256, 256}));
  EXPECT_EQ(*LoadJson(file)->EncodePlain(" a"), (std::vector<int32_t>{256}));
  file["pre_tokenizer"]["add_prefix_space"] = false;
  EXPECT_EQ(*LoadJson(file)->EncodePlain("a a"), (std::vector<int32_t>{'a', 256}));
}

TEST(PreTokenizerTest, RemovedDropsMatchesAndLiteralsAreLiteral) {
  json file = SmallTokenizerJson({{"a", "b"}}, {});
  json& split = file["pre_tokenizer"]["pretokenizers"][0];
  split["pattern"] = {{"String", ".+"}};
  EXPECT_EQ(*LoadJson(file)->EncodePlain("ab.+ab"), (std::vector<int32_t>{256, '.', '+', 256}));
  split["behavior"] = "Removed";
  EXPECT_EQ(*LoadJson(file)->EncodePlain("a.+bab"), (std::vector<int32_t>{'a', 'b', 256}));
}

TEST(TokenizerTest, OldAndNewMergesAndTemplateAreRead) {
  json file = SmallTokenizerJson({{"a", "b"}, {"Ġ", "ab"}}, {"<bos>", "<eos>"});
  file["model"]["merges"] = {"a b", "Ġ ab"};
  file["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"},
         {"single",
          {{{"SpecialToken", {{"id", "<bos>"}}}},
           {{"Sequence", {{"id", "A"}}}},
           {{"SpecialToken", {{"id", "<eos>"}}}}}},
         {"special_tokens", {{"<bos>", {{"ids", {258}}}}, {"<eos>", {{"ids", {259}}}}}}}}}};
  const auto tokenizer = LoadJson(file);
  EXPECT_EQ(*tokenizer->Encode("ab ab", true), (std::vector<int32_t>{258, 256, 257, 259}));
  EXPECT_EQ(*tokenizer->Encode("ab ab", false), (std::vector<int32_t>{256, 257}));
  EXPECT_EQ(tokenizer->vocab_size(), 260);
  EXPECT_EQ(tokenizer->TokenBytes(257), " ab");
  EXPECT_EQ(tokenizer->TokenBytes(999), "");
  EXPECT_EQ(*tokenizer->SpecialId("<eos>"), 259);
  EXPECT_EQ(tokenizer->SpecialId("<none>").status().code(), absl::StatusCode::kNotFound);
}

TEST(TokenizerTest, FingerprintIsTheFilesSha256) {
  const json file = SmallTokenizerJson({}, {});
  base::Sha256 hash;
  hash.Update(file.dump());
  EXPECT_EQ(LoadJson(file)->Fingerprint(), hash.Finish());
}

}  // namespace
}  // namespace lectern::tokenizer
