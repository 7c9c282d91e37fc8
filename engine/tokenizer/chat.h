#pragma once
// Prompts as tokens, in the chat formats of the model families. Layouts: chat_formats.md.
// Thinking is off. Tools are not part of this version: no tool is described, no call is parsed.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tokenizer/answer.h"
#include "engine/tokenizer/tokenizer.h"

namespace lectern::tokenizer {

// Part of every page key: raise it with any change of the tokens that an input gives.
inline constexpr int kPromptLayoutVersion = 1;

enum class PromptFormat {
  kLecternSmallV1,  // the default model
  kGlm,             // GLM-4.7, GLM-5, GLM-5.1
  kDeepSeekV32,
};

struct PromptParagraph {
  int number = 0;    // >= 0; runs on across documents
  std::string text;  // normalised, without a line end
};

struct Turn {
  std::string user;
  // The model's answer, raw as it was generated (markers included, stop token not); unset for the
  // turn to be answered now.
  std::optional<std::string> assistant;
  // The answer's tokens as generated, without the stop token. Preferred where kept: encoding the
  // text again may cut it differently, and the prefix would then no longer match what was computed.
  std::vector<int32_t> assistant_ids;

  bool answered() const { return assistant.has_value() || !assistant_ids.empty(); }
};

struct PromptInput {
  std::string system;
  std::vector<PromptParagraph> paragraphs;
  std::vector<Turn> turns;  // at least one; all but the last answered
};

struct TokenRange {
  int64_t begin = 0;
  int64_t end = 0;  // one past the last
};

struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;
};

struct Prompt {
  std::vector<int32_t> ids;
  // [paragraphs] the tokens of each paragraph's text alone: no marker, no line end.
  std::vector<TokenRange> paragraph_tokens;
  std::vector<int32_t> stop_ids;
};

// What a lectern.json beside the checkpoint says of the model.
struct ModelCard {
  // Tokens of prompt within which the model answers well; longer documents are searched first.
  std::optional<int64_t> reliable_context;
  // How an answer reads that the document does not hold.
  std::string not_stated = "Not stated in the document.";
};

// Immutable; thread safe. The tokenizer must outlive it.
class ChatFormat {
 public:
  // The format named by `directory`/lectern.json ("prompt_format": "lectern-small-v1", "glm",
  // "deepseek_v32"), or else by `model_type`. InvalidArgument: lectern.json is malformed (names the
  // field). FailedPrecondition: no format for this model type, or the tokenizer lacks a token that
  // the format needs.
  static absl::StatusOr<ChatFormat> ForModel(const Tokenizer& tokenizer,
                                             std::string_view model_type,
                                             const std::string& directory);

  // The whole prompt: BuildShared, then AppendTurn for each turn.
  // InvalidArgument: no turn, an unanswered turn before the last, an answered last one, a system
  // text where the format has none, a stop token inside an answer. ResourceExhausted as
  // Tokenizer::Encode.
  absl::StatusOr<Prompt> Build(const PromptInput& input) const;

  // What all questions over the same documents share: everything before the first turn. Kept by the
  // caller, it saves encoding the documents again.
  absl::StatusOr<Prompt> BuildShared(std::string_view system,
                                     std::span<const PromptParagraph> paragraphs) const;

  // Appends a turn; tokens already there never change, so that any earlier prompt of a
  // conversation, with its answer, is a prefix of the later ones. An unanswered turn ends where the
  // answer begins.
  absl::Status AppendTurn(const Turn& turn, Prompt& prompt) const;

  // [tokens of the paragraph] the bytes of its text that each token stands for. The first token
  // also holds the space before the text, which is not counted. A token inside a character has part
  // of that character's bytes.
  std::vector<ByteRange> ParagraphByteRanges(const Prompt& prompt, size_t paragraph) const;

  PromptFormat format() const { return format_; }
  // The default model was taught to quote and follows no instructions: it has no place for a system
  // text.
  bool takes_system_text() const { return format_ != PromptFormat::kLecternSmallV1; }
  const ModelCard& card() const { return card_; }
  AnswerParser NewAnswerParser() const;

 private:
  // Ids of the tokens that frame a prompt; those that a format lacks are -1.
  struct FrameTokens {
    int32_t mask = -1;   // [gMASK]
    int32_t begin = -1;  // <sop>, or DeepSeek's begin of sentence
    int32_t end = -1;    // <|endoftext|>, or DeepSeek's end of sentence
    int32_t system = -1;
    int32_t user = -1;
    int32_t assistant = -1;
    int32_t end_think = -1;
    int32_t marker = -1;  // ¶
    int32_t observation = -1;
  };

  ChatFormat(const Tokenizer& tokenizer, PromptFormat format, ModelCard card)
      : tokenizer_(&tokenizer), format_(format), card_(std::move(card)) {}
  absl::Status FindFrameTokens();
  absl::Status FindMarker();
  absl::Status AppendParagraph(const PromptParagraph& paragraph, Prompt& prompt) const;
  absl::Status AppendAnswer(const Turn& turn, std::vector<int32_t>& ids) const;
  absl::Status AppendAnswerText(std::string_view text, std::vector<int32_t>& ids) const;

  const Tokenizer* tokenizer_;
  PromptFormat format_;
  ModelCard card_;
  FrameTokens frame_;
  std::vector<int32_t> stop_ids_;
};

}  // namespace lectern::tokenizer
