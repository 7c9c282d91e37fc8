// One input is tried in both places where bytes come from outside: as a tokenizer.json and as a
// text. Aborts where a promise is broken; crashes and leaks are the sanitizers'.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/check.h"
#include "engine/tokenizer/answer.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/detokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/utf8.h"

namespace {

using lectern::tokenizer::Tokenizer;

// The GLM expression over the byte alphabet, a few merges, two special tokens.
std::unique_ptr<const Tokenizer> TextTokenizer() {
  std::string vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string name = lectern::tokenizer::AlphabetCharacter(static_cast<uint8_t>(byte));
    vocabulary +=
        (byte == '"' || byte == '\\' ? "\"\\" : "\"") + name + "\":" + std::to_string(byte) + ",";
  }
  const std::string json =
      R"({"added_tokens":[{"id":300,"content":"<|user|>","special":true},)"
      R"({"id":182,"content":"¶","special":true}],"pre_tokenizer":{"type":"Sequence","pretokenizers":[)"
      R"({"type":"Split","behavior":"Isolated","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|)"
      R"([^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},)"
      R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},"decoder":{"type":"ByteLevel"},)"
      R"("model":{"type":"BPE","vocab":{)" +
      vocabulary +
      R"("th":256,"the":257,"aa":258,"aaaa":259},"merges":["t h","th e","a a","aa aa"]}})";
  auto tokenizer = Tokenizer::FromJson(json, "built in");
  LECTERN_CHECK(tokenizer.ok());
  return *std::move(tokenizer);
}

void TryText(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.EncodePlain(text);
  if (!ids.ok()) return;
  lectern::tokenizer::Detokenizer detokenizer(tokenizer, /*skip_special=*/false);
  std::string streamed;
  for (const int32_t id : *ids) {
    const std::string delta = detokenizer.Push(id);
    LECTERN_CHECK(lectern::tokenizer::IsValidUtf8(delta));
    streamed += delta;
  }
  streamed += detokenizer.Finish();
  LECTERN_CHECK(streamed == tokenizer.Decode(*ids, false));
  lectern::tokenizer::ParseAnswer(lectern::tokenizer::AnswerStyle::kQuotedPassages, "No.", text);
  lectern::tokenizer::ParseAnswer(lectern::tokenizer::AnswerStyle::kMarkedSentences, "No.", text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<const Tokenizer> tokenizer = TextTokenizer();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  TryText(*tokenizer, input);
  if (lectern::tokenizer::IsValidUtf8(input)) {
    // Every byte has a token, so that a valid text survives.
    LECTERN_CHECK(tokenizer->Decode(*tokenizer->EncodePlain(input), false) == input);
  }
  const auto loaded = Tokenizer::FromJson(input, "fuzz");
  if (loaded.ok()) TryText(**loaded, "It's 2,048 tokens: 日本 <|user|>\n\n  \xF0\x9F\x98\x80 \x80");
  return 0;
}
