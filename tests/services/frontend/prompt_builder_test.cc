// What is shared between questions stays the same, token for token; what is beyond the model's
// reach is read in excerpts.
#include "services/frontend/prompt_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "services/common/error_details.h"
#include "tests/testing/byte_tokenizer.h"
#include "tests/testing/fake_documents.h"

namespace lectern::frontend {
namespace {

class PromptBuilderTest : public ::testing::Test {
 protected:
  PromptBuilderTest() : tokenizer_(testing::ByteTokenizer()) {
    std::vector<std::string> many;
    for (int i = 0; i < 60; ++i) {
      many.push_back("Paragraph " + std::to_string(i) + " speaks about item" +
                     std::to_string(i * i) + ".");
    }
    short_ = documents_.Put("short", {"One fact.", "Another fact."});
    other_ = documents_.Put("other", {"A third fact."});
    long_ = documents_.Put("long", many);
  }

  PromptBuilder Make(PromptLimits limits) {
    const std::string directory = ::testing::TempDir() + "/prompt_builder_model";
    std::filesystem::create_directories(directory);
    std::ofstream(directory + "/lectern.json") << testing::ByteModelCard(0);
    auto chat = tokenizer::ChatFormat::ForModel(*tokenizer_, "glm_moe_dsa", directory);
    EXPECT_TRUE(chat.ok()) << chat.status();
    return {*tokenizer_, *std::move(chat), documents_, std::move(limits)};
  }

  static PromptRequest Ask(std::vector<std::string> documents, const std::string& question) {
    PromptRequest request;
    request.documents = std::move(documents);
    request.turns.push_back({.user = question, .assistant = std::nullopt, .assistant_ids = {}});
    return request;
  }

  std::string Text(const std::vector<int32_t>& ids) const {
    return tokenizer_->Decode(ids, /*skip_special=*/false);
  }

  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  testing::FakeDocuments documents_;
  std::string short_;
  std::string other_;
  std::string long_;
};

TEST_F(PromptBuilderTest, QuestionsShareTheirDocumentsPart) {
  PromptBuilder builder =
      Make({.max_context = 100'000, .reliable_context = 0, .eos_token_ids = {9}});
  const auto first = builder.Build(Ask({short_}, "what?"));
  const auto second = builder.Build(Ask({short_}, "why?"));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->shared, second->shared);  // built once
  EXPECT_EQ(Text(first->ids),
            "[gMASK]<sop><|system|>¶1 One fact.\n¶2 Another fact.\n<|user|> what?<|assistant|>");
  const auto& prefix = first->shared->prompt.ids;
  EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), second->ids.begin()));
  EXPECT_NE(std::find(first->stop_ids.begin(), first->stop_ids.end(), 9), first->stop_ids.end());
}

TEST_F(PromptBuilderTest, ParagraphNumbersRunOnAcrossDocumentsAndTokensMapBack) {
  PromptBuilder builder =
      Make({.max_context = 100'000, .reliable_context = 0, .eos_token_ids = {}});
  const auto built = builder.Build(Ask({short_, other_}, "q"));
  ASSERT_TRUE(built.ok());
  const SharedPrompt& shared = *built->shared;
  ASSERT_EQ(shared.placed.size(), 3U);
  EXPECT_EQ(shared.placed[2].number, 3);
  EXPECT_EQ(shared.placed[2].document, 1);
  EXPECT_EQ(shared.placed[2].paragraph, 0);
  for (size_t i = 0; i < shared.placed.size(); ++i) {
    const auto& tokens = shared.tokens[i];
    const auto& document = *shared.documents[static_cast<size_t>(shared.placed[i].document)];
    const std::string& text =
        document.paragraphs[static_cast<size_t>(shared.placed[i].paragraph)].normalized;
    const auto num_tokens = tokens.token_byte_begins.size() - 1;
    const std::vector<int32_t> ids(
        shared.prompt.ids.begin() + tokens.token_begin,
        shared.prompt.ids.begin() + tokens.token_begin + static_cast<ptrdiff_t>(num_tokens));
    EXPECT_EQ(Text(ids), " " + text);
    EXPECT_EQ(tokens.token_byte_begins.back(), static_cast<int32_t>(text.size()));
    EXPECT_TRUE(std::is_sorted(tokens.token_byte_begins.begin(), tokens.token_byte_begins.end()));
  }
}

TEST_F(PromptBuilderTest, BeyondTheReliableContextAnExcerptIsRead) {
  PromptBuilder builder =
      Make({.max_context = 100'000, .reliable_context = 1000, .eos_token_ids = {}});
  const auto built = builder.Build(Ask({long_}, "item2500"));
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_EQ(built->shared->scope, v1::SCOPE_EXCERPT);
  EXPECT_LE(built->ids.size(), 1000U);
  EXPECT_NE(Text(built->ids).find("¶51 Paragraph 50 speaks about item2500."), std::string::npos);
  EXPECT_LT(built->shared->placed.size(), 60U);
  EXPECT_TRUE(std::is_sorted(built->shared->placed.begin(), built->shared->placed.end(),
                             [](const auto& a, const auto& b) { return a.number < b.number; }));
}

TEST_F(PromptBuilderTest, WholeOverridesAndDoesNotLeakToOthers) {
  PromptBuilder builder =
      Make({.max_context = 100'000, .reliable_context = 1000, .eos_token_ids = {}});
  PromptRequest whole = Ask({long_}, "q");
  whole.whole = true;
  const auto forced = builder.Build(whole);
  ASSERT_TRUE(forced.ok());
  EXPECT_EQ(forced->shared->scope, v1::SCOPE_WHOLE);
  EXPECT_EQ(forced->shared->placed.size(), 60U);
  EXPECT_EQ(builder.Build(whole)->shared, forced->shared);
  EXPECT_EQ(builder.Build(Ask({long_}, "item4"))->shared->scope, v1::SCOPE_EXCERPT);
}

TEST_F(PromptBuilderTest, WhatDoesNotFitIsRefusedWithTheNumbers) {
  PromptBuilder builder = Make({.max_context = 900, .reliable_context = 0, .eos_token_ids = {}});
  PromptRequest whole = Ask({long_}, "q");
  whole.whole = true;
  const absl::Status refused = builder.Build(whole).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(common::GetErrorInfo(refused, &info));
  EXPECT_EQ(info.reason(), "PROMPT_TOO_LONG");
  EXPECT_EQ(info.metadata().at("max_context"), "900");
  EXPECT_TRUE(absl::IsFailedPrecondition(builder.BuildWhole({long_}).status()));
  EXPECT_TRUE(builder.BuildWhole({short_}).ok());
  EXPECT_TRUE(absl::IsNotFound(builder.Build(Ask({"documents/none"}, "q")).status()));
}

TEST_F(PromptBuilderTest, AnUnaskedAnswerLengthGivesWayAnAskedOneDoesNot) {
  PromptBuilder builder = Make({.max_context = 120, .reliable_context = 0, .eos_token_ids = {}});
  PromptRequest request = Ask({short_}, "q");
  const auto built = builder.Build(request);
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_EQ(built->max_new_tokens, 120 - static_cast<int>(built->ids.size()));
  request.max_new_tokens = 200;
  EXPECT_TRUE(absl::IsFailedPrecondition(builder.Build(request).status()));
}

TEST_F(PromptBuilderTest, CountsWhatThePromptLaysOut) {
  PromptBuilder builder =
      Make({.max_context = 100'000, .reliable_context = 0, .eos_token_ids = {}});
  const auto shared = builder.BuildWhole({long_});
  ASSERT_TRUE(shared.ok());
  const int64_t counted = *builder.CountTokens(long_);
  EXPECT_NEAR(static_cast<double>(counted), static_cast<double>((*shared)->prompt.ids.size()), 8);
}

}  // namespace
}  // namespace lectern::frontend
