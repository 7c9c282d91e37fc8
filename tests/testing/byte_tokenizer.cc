#include "tests/testing/byte_tokenizer.h"

#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/tokenizer/byte_alphabet.h"

namespace lectern::testing {

using nlohmann::json;

std::string ByteTokenizerJson() {
  json vocabulary = json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[tokenizer::AlphabetCharacter(static_cast<uint8_t>(byte))] = byte;
  }
  // The marker is two bytes; the format wants it as one token.
  const std::string left = tokenizer::AlphabetCharacter(0xC2);
  const std::string right = tokenizer::AlphabetCharacter(0xB6);
  vocabulary[left + right] = 256;
  json added = json::array();
  int id = 257;
  for (const char* content :
       {"[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"}) {
    added.push_back({{"id", id++},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  LECTERN_CHECK(id == kByteVocabulary);
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", false},
                           {"use_regex", false}};
  return json{{"version", "1.0"},
              {"added_tokens", added},
              {"normalizer", nullptr},
              {"pre_tokenizer", byte_level},
              {"post_processor", nullptr},
              {"decoder", byte_level},
              {"model",
               {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"ignore_merges", false},
                {"vocab", vocabulary},
                {"merges", json::array({json::array({left, right})})}}}}
      .dump();
}

std::unique_ptr<const tokenizer::Tokenizer> ByteTokenizer() {
  auto tokenizer = tokenizer::Tokenizer::FromJson(ByteTokenizerJson(), "byte tokenizer");
  LECTERN_CHECK(tokenizer.ok());
  return *std::move(tokenizer);
}

std::string ByteModelCard(int64_t reliable_context) {
  json card = {{"prompt_format", "lectern-small-v1"}};
  if (reliable_context > 0) card["reliable_context"] = static_cast<uint64_t>(reliable_context);
  return card.dump();
}

std::vector<int32_t> Bytes(std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
  return ids;
}

}  // namespace lectern::testing
