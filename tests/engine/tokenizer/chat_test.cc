#include "engine/tokenizer/chat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/engine/tokenizer/test_tokenizers.h"

namespace lectern::tokenizer {
namespace {

class ChatTest : public testing::Test {
 protected:
  ChatTest() {
    std::string name = testing::TempDir() + "lectern_chat_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~ChatTest() override { std::filesystem::remove_all(directory_); }

  void WriteCard(const std::string& text) { std::ofstream(directory_ + "/lectern.json") << text; }

  std::string directory_;
};

constexpr char kSmallCard[] =
    R"({"prompt_format": "lectern-small-v1", "reliable_context": 8192, "not_stated": "Not in it."})";

std::string Text(const Tokenizer& tokenizer, const Prompt& prompt) {
  return tokenizer.Decode(prompt.ids, false);
}

// Every paragraph's token range and byte map give back exactly its text.
void ExpectParagraphsMapped(const Tokenizer& tokenizer, const ChatFormat& chat,
                            const Prompt& prompt, const std::vector<PromptParagraph>& paragraphs) {
  ASSERT_EQ(prompt.paragraph_tokens.size(), paragraphs.size());
  for (size_t i = 0; i < paragraphs.size(); ++i) {
    const TokenRange range = prompt.paragraph_tokens[i];
    const std::vector<int32_t> ids(prompt.ids.begin() + range.begin,
                                   prompt.ids.begin() + range.end);
    EXPECT_EQ(tokenizer.Decode(ids, false), " " + paragraphs[i].text);
    const std::vector<ByteRange> bytes = chat.ParagraphByteRanges(prompt, i);
    ASSERT_EQ(bytes.size(), ids.size());
    EXPECT_EQ(bytes.front().begin, 0);
    EXPECT_EQ(bytes.back().end, static_cast<int64_t>(paragraphs[i].text.size()));
    for (size_t t = 1; t < bytes.size(); ++t) EXPECT_EQ(bytes[t].begin, bytes[t - 1].end);
  }
}

TEST_F(ChatTest, DefaultModelsPrompt) {
  WriteCard(kSmallCard);
  const auto tokenizer = LecternSmallTokenizer();
  const auto chat = ChatFormat::ForModel(*tokenizer, "glm_moe_dsa", directory_);
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ(chat->format(), PromptFormat::kLecternSmallV1);
  EXPECT_EQ(chat->card().reliable_context, 8192);
  PromptInput input;
  input.paragraphs = {{12, "Über the öre. See ¶7."}, {13, "the <|user|> end"}};
  input.turns = {{" Who? ", std::nullopt, {}}};
  const auto prompt = chat->Build(input);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(Text(*tokenizer, *prompt),
            "[gMASK]<sop><|system|>¶12 Über the öre. See ¶7.\n¶13 the <|user|> end\n"
            "<|user|> Who?<|assistant|>");
  ExpectParagraphsMapped(*tokenizer, *chat, *prompt, input.paragraphs);
  const int32_t user = *tokenizer->SpecialId("<|user|>");
  EXPECT_EQ(prompt->stop_ids, (std::vector<int32_t>{user, *tokenizer->SpecialId("<|endoftext|>")}));
  EXPECT_EQ(std::count(prompt->ids.begin(), prompt->ids.end(), user), 1);  // the frame's own
  // The marker is the one token, the number its own.
  EXPECT_EQ(tokenizer->TokenBytes(prompt->ids[3]), "¶");
  EXPECT_EQ(tokenizer->TokenBytes(prompt->ids[4]), "12");
  AnswerParser parser = chat->NewAnswerParser();
  parser.Push(" Not in it.");
  parser.Finish();
  EXPECT_FALSE(parser.Parsed().answered);
  input.system = "Be brief.";
  EXPECT_EQ(chat->Build(input).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ChatTest, AnswersBecomeTheirTokensAgain) {
  WriteCard(kSmallCard);
  const auto tokenizer = SharedMarkerTokenizer();
  const auto chat = ChatFormat::ForModel(*tokenizer, "", directory_);
  ASSERT_TRUE(chat.ok()) << chat.status();
  PromptInput input;
  input.turns = {{"a", "¶12 the öre ¶ x.<|user|>", {}}, {"b", std::nullopt, {}}};
  const auto prompt = chat->Build(input);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  const int32_t marker = *tokenizer->SpecialId("¶");
  const auto answer = std::find(prompt->ids.begin(), prompt->ids.end(), marker);
  ASSERT_NE(answer, prompt->ids.end());
  EXPECT_EQ(*(answer - 1), *tokenizer->SpecialId("<|assistant|>"));
  EXPECT_EQ(std::count(prompt->ids.begin(), prompt->ids.end(), *tokenizer->SpecialId("<|user|>")),
            2);
  EXPECT_EQ(Text(*tokenizer, *prompt),
            "[gMASK]<sop><|system|><|user|> a<|assistant|>¶12 the öre ¶ x.<|user|>"
            "<|user|> b<|assistant|>");
  // Tokens as generated win over the text, as they are.
  input.turns[0].assistant_ids = {'x', 'y'};
  const auto exact = chat->Build(input);
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_EQ(Text(*tokenizer, *exact),
            "[gMASK]<sop><|system|><|user|> a<|assistant|>xy<|user|> b<|assistant|>");
  input.turns[0].assistant_ids = {'x', *tokenizer->SpecialId("<|user|>")};
  EXPECT_EQ(chat->Build(input).status().code(), absl::StatusCode::kInvalidArgument);
}

class FamilyChatTest : public ChatTest, public testing::WithParamInterface<const char*> {};

TEST_P(FamilyChatTest, EarlierPromptsArePrefixesOfLaterOnes) {
  const std::string family = GetParam();
  const auto tokenizer = family == "small"    ? LecternSmallTokenizer()
                         : family == "shared" ? SharedMarkerTokenizer()
                                              : LoadConformanceTokenizer(family);
  if (tokenizer == nullptr) GTEST_SKIP() << "absent: tokenizer of " << family;
  if (family == "small" || family == "shared") WriteCard(kSmallCard);
  const auto chat = ChatFormat::ForModel(
      *tokenizer, family == "deepseek" ? "deepseek_v32" : "glm_moe_dsa", directory_);
  ASSERT_TRUE(chat.ok()) << chat.status();
  PromptInput input;
  input.paragraphs = {
      {1, "The first paragraph, with <|assistant|> in it."}, {2, "日本語の段落。"}, {3, "x"}};
  const auto shared = chat->BuildShared("", input.paragraphs);
  ASSERT_TRUE(shared.ok()) << shared.status();
  ExpectParagraphsMapped(*tokenizer, *chat, *shared, input.paragraphs);
  std::vector<int32_t> previous = shared->ids;
  for (int turn = 0; turn < 4; ++turn) {
    input.turns.push_back({"Question " + std::to_string(turn) + "?", std::nullopt, {}});
    const auto prompt = chat->Build(input);
    ASSERT_TRUE(prompt.ok()) << prompt.status();
    ASSERT_GT(prompt->ids.size(), previous.size());
    EXPECT_TRUE(std::equal(previous.begin(), previous.end(), prompt->ids.begin()));
    previous = prompt->ids;
    // What a model might generate: tokens that encoding would not choose.
    input.turns.back().assistant_ids = {'a', 'a', 'a', 'b', 'c'};
    previous.insert(previous.end(), input.turns.back().assistant_ids.begin(),
                    input.turns.back().assistant_ids.end());
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, FamilyChatTest,
                         testing::Values("small", "shared", "glm", "deepseek"),
                         [](const auto& param) { return std::string(param.param); });

TEST_F(ChatTest, GlmLayout) {
  const auto glm = LoadConformanceTokenizer("glm");
  SKIP_WITHOUT(glm, "glm");
  const auto chat = ChatFormat::ForModel(*glm, "glm4_moe_lite", directory_);
  ASSERT_TRUE(chat.ok()) << chat.status();
  PromptInput input;
  input.turns = {{"Hi", "Hello.", {}}, {"Bye", std::nullopt, {}}};
  EXPECT_EQ(Text(*glm, *chat->Build(input)),
            "[gMASK]<sop><|user|>Hi<|assistant|></think>Hello.<|user|>Bye<|assistant|></think>");
  input.system = "Be brief.";
  input.turns.erase(input.turns.begin());
  EXPECT_EQ(Text(*glm, *chat->Build(input)),
            "[gMASK]<sop><|system|>Be brief.<|user|>Bye<|assistant|></think>");
  input.paragraphs = {{4, "Text."}};
  const std::string text = Text(*glm, *chat->Build(input));
  EXPECT_TRUE(text.starts_with("[gMASK]<sop><|system|>Be brief.\n\nAnswer questions")) << text;
  EXPECT_TRUE(
      text.ends_with("reply only: Not stated in the document.\n\n[¶4] Text.\n"
                     "<|user|>Bye<|assistant|></think>"))
      << text;
  const auto prompt = chat->Build(input);
  EXPECT_EQ(prompt->stop_ids,
            (std::vector<int32_t>{*glm->SpecialId("<|endoftext|>"), *glm->SpecialId("<|user|>"),
                                  *glm->SpecialId("<|observation|>")}));
}

TEST_F(ChatTest, DeepSeekLayout) {
  const auto deepseek = LoadConformanceTokenizer("deepseek");
  SKIP_WITHOUT(deepseek, "deepseek");
  const auto chat = ChatFormat::ForModel(*deepseek, "deepseek_v32", directory_);
  ASSERT_TRUE(chat.ok()) << chat.status();
  PromptInput input;
  input.system = "Be brief.";
  input.turns = {{"Hi", "Hello.", {}}, {"Bye", std::nullopt, {}}};
  EXPECT_EQ(Text(*deepseek, *chat->Build(input)),
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜></think>Hello."
            "<｜end▁of▁sentence｜><｜User｜>Bye<｜Assistant｜></think>");
  EXPECT_EQ(chat->Build(input)->stop_ids,
            std::vector<int32_t>{*deepseek->SpecialId("<｜end▁of▁sentence｜>")});
}

TEST_F(ChatTest, RefusesWhatItCannotServe) {
  const auto tokenizer = LecternSmallTokenizer();
  const auto code = [&](const char* model_type) {
    return ChatFormat::ForModel(*tokenizer, model_type, directory_).status().code();
  };
  EXPECT_EQ(code("glm_moe_dsa"), absl::StatusCode::kFailedPrecondition);  // has no </think>
  EXPECT_EQ(code("deepseek_v32"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code("llama"), absl::StatusCode::kFailedPrecondition);
  WriteCard(kSmallCard);
  const auto no_marker = LoadJson(SmallTokenizerJson(
      {}, {"[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"}));
  EXPECT_EQ(ChatFormat::ForModel(*no_marker, "", directory_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  for (const char* card :
       {"", "[", "[]", R"({"prompt_format": "other"})", R"({"prompt_format": 1})",
        R"({"prompt_format": "lectern-small-v1", "reliable_context": -1})",
        R"({"prompt_format": "lectern-small-v1", "reliable_context": "8k"})",
        R"({"prompt_format": "lectern-small-v1", "not_stated": 5})"}) {
    WriteCard(card);
    const auto chat = ChatFormat::ForModel(*tokenizer, "glm_moe_dsa", directory_);
    EXPECT_EQ(chat.status().code(), absl::StatusCode::kInvalidArgument) << card;
    EXPECT_NE(chat.status().message().find("lectern.json"), absl::string_view::npos);
  }
  WriteCard(kSmallCard);
  const auto chat = ChatFormat::ForModel(*tokenizer, "glm_moe_dsa", directory_);
  ASSERT_TRUE(chat.ok()) << chat.status();
  const auto build = [&](std::vector<Turn> turns) {
    PromptInput input;
    input.turns = std::move(turns);
    return chat->Build(input).status().code();
  };
  EXPECT_EQ(build({}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(build({{"a", "b", {}}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(build({{"a", std::nullopt, {}}, {"b", std::nullopt, {}}}),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace lectern::tokenizer
