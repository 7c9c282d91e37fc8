#include "tests/engine/tokenizer/test_tokenizers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "engine/tokenizer/byte_alphabet.h"

namespace lectern::tokenizer {

using nlohmann::json;

std::string ConformanceTokenizerPath(const std::string& name) {
  const char* directory = std::getenv("LECTERN_CONFORMANCE_DIR");
  const std::string root =
      directory != nullptr ? directory : LECTERN_SOURCE_DIR "/tests/testdata/conformance";
  return root + "/tokenizers/" + name;
}

std::unique_ptr<const Tokenizer> LoadConformanceTokenizer(const std::string& family) {
  const std::string path = ConformanceTokenizerPath(family + ".tokenizer.json");
  if (!std::filesystem::exists(path)) return nullptr;
  auto tokenizer = Tokenizer::Load(path);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

json SmallTokenizerJson(const std::vector<std::pair<std::string, std::string>>& merges,
                        const std::vector<std::string>& added) {
  json vocabulary = json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[AlphabetCharacter(static_cast<uint8_t>(byte))] = byte;
  }
  json merge_list = json::array();
  for (const auto& [left, right] : merges) {
    merge_list.push_back({left, right});
    if (!vocabulary.contains(left + right)) {
      const size_t id = vocabulary.size();
      vocabulary[left + right] = id;
    }
  }
  json added_list = json::array();
  size_t next_id = vocabulary.size();
  for (const std::string& content : added) {
    const size_t id = vocabulary.contains(content) ? vocabulary[content].get<size_t>() : next_id++;
    added_list.push_back({{"id", id},
                          {"content", content},
                          {"single_word", false},
                          {"lstrip", false},
                          {"rstrip", false},
                          {"normalized", false},
                          {"special", true}});
  }
  return {{"version", "1.0"},
          {"added_tokens", added_list},
          {"normalizer", nullptr},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Split"},
               {"pattern", {{"Regex", kGlmSplit}}},
               {"behavior", "Isolated"},
               {"invert", false}},
              {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", vocabulary},
            {"merges", merge_list},
            {"ignore_merges", false},
            {"byte_fallback", false},
            {"unk_token", nullptr}}}};
}

std::unique_ptr<const Tokenizer> LoadJson(const json& json) {
  auto tokenizer = Tokenizer::FromJson(json.dump(), "test.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::unique_ptr<const Tokenizer> LecternSmallTokenizer() {
  return LoadJson(SmallTokenizerJson(
      {{"Â", "¶"}, {"Ġ", "t"}, {"Ġt", "h"}, {"Ġth", "e"}, {"1", "2"}},
      {"[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"}));
}

std::unique_ptr<const Tokenizer> SharedMarkerTokenizer() {
  return LoadJson(SmallTokenizerJson(
      {{"Ġ", "t"}, {"1", "2"}},
      {"[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>", "¶"}));
}

}  // namespace lectern::tokenizer
