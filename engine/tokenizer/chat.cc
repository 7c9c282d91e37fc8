#include "engine/tokenizer/chat.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"

namespace lectern::tokenizer {
namespace {

constexpr size_t kMaxCardBytes = 64 * 1024;
constexpr std::string_view kPilcrow = "\xC2\xB6";

// Part of the layout: any change needs a new kPromptLayoutVersion.
constexpr std::string_view kInstructionBegin =
    "Answer questions about the document below. It is given as numbered paragraphs, each after its "
    "marker, such as [¶7]. For every statement of your answer give the marker of the paragraph "
    "that "
    "holds it, then an exact quote from that paragraph in double quotation marks, for example: "
    "[¶7] \"words of the paragraph\". Quote word for word and use nothing but the document. If the "
    "document does not hold the answer, reply only: ";

struct CardFile {
  std::optional<PromptFormat> format;
  ModelCard card;
};

std::optional<PromptFormat> FormatNamed(std::string_view name) {
  if (name == "lectern-small-v1") return PromptFormat::kLecternSmallV1;
  if (name == "glm") return PromptFormat::kGlm;
  if (name == "deepseek_v32") return PromptFormat::kDeepSeekV32;
  return std::nullopt;
}

std::optional<PromptFormat> FormatOfModelType(std::string_view model_type) {
  if (model_type == "glm_moe_dsa" || model_type == "glm4_moe_lite") return PromptFormat::kGlm;
  if (model_type == "deepseek_v32") return PromptFormat::kDeepSeekV32;
  return std::nullopt;
}

absl::StatusOr<CardFile> ParseCard(std::string_view text, const std::string& path) {
  const auto invalid = [&](std::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", base::ToAbsl(problem)));
  };
  const nlohmann::json root = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (text.size() > kMaxCardBytes || !root.is_object()) return invalid("not a small JSON object");
  CardFile file;
  if (const auto format = root.find("prompt_format"); format != root.end()) {
    if (format->is_string()) file.format = FormatNamed(format->get_ref<const std::string&>());
    if (!file.format.has_value()) return invalid("prompt_format: not a format known here");
  }
  if (const auto reach = root.find("reliable_context"); reach != root.end()) {
    if (!reach->is_number_unsigned() || reach->get<uint64_t>() == 0 ||
        reach->get<uint64_t>() > (uint64_t{1} << 40)) {
      return invalid("reliable_context: not a positive number of tokens");
    }
    file.card.reliable_context = reach->get<int64_t>();
  }
  if (const auto phrase = root.find("not_stated"); phrase != root.end()) {
    if (!phrase->is_string() || phrase->get_ref<const std::string&>().empty()) {
      return invalid("not_stated: not a text");
    }
    file.card.not_stated = phrase->get<std::string>();
  }
  return file;
}

absl::StatusOr<CardFile> ReadCard(const std::string& directory) {
  const std::string path = directory + "/lectern.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return CardFile();
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  std::string text(kMaxCardBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return ParseCard(text, path);
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

absl::StatusOr<ChatFormat> ChatFormat::ForModel(const Tokenizer& tokenizer,
                                                std::string_view model_type,
                                                const std::string& directory) {
  ASSIGN_OR_RETURN(CardFile file, ReadCard(directory));
  const std::optional<PromptFormat> format =
      file.format.has_value() ? file.format : FormatOfModelType(model_type);
  if (!format.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat("no chat format for model_type '",
                                                      base::ToAbsl(model_type),
                                                      "' and no lectern.json in ", directory));
  }
  if (tokenizer.adds_prefix_space()) {
    return absl::FailedPreconditionError(
        "the tokenizer puts spaces into texts (add_prefix_space): tokens cannot be mapped to them");
  }
  ChatFormat chat(tokenizer, *format, std::move(file.card));
  RETURN_IF_ERROR(chat.FindFrameTokens());
  return chat;
}

absl::Status ChatFormat::FindFrameTokens() {
  struct Needed {
    int32_t* id;
    const char* name;
  };
  std::vector<Needed> needed;
  if (format_ == PromptFormat::kDeepSeekV32) {
    needed = {{&frame_.begin, "<｜begin▁of▁sentence｜>"},
              {&frame_.end, "<｜end▁of▁sentence｜>"},
              {&frame_.user, "<｜User｜>"},
              {&frame_.assistant, "<｜Assistant｜>"},
              {&frame_.end_think, "</think>"}};
  } else {
    needed = {{&frame_.mask, "[gMASK]"},      {&frame_.begin, "<sop>"},
              {&frame_.end, "<|endoftext|>"}, {&frame_.system, "<|system|>"},
              {&frame_.user, "<|user|>"},     {&frame_.assistant, "<|assistant|>"}};
    if (format_ == PromptFormat::kGlm) {
      needed.push_back({&frame_.end_think, "</think>"});
      needed.push_back({&frame_.observation, "<|observation|>"});
    }
  }
  for (const auto& [id, name] : needed) {
    const absl::StatusOr<int32_t> found = tokenizer_->SpecialId(name);
    if (!found.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the tokenizer has no token '", name, "', which the chat format needs"));
    }
    *id = *found;
  }
  if (format_ == PromptFormat::kLecternSmallV1) RETURN_IF_ERROR(FindMarker());
  switch (format_) {
    case PromptFormat::kLecternSmallV1:
      stop_ids_ = {frame_.user, frame_.end};
      break;
    case PromptFormat::kGlm:
      stop_ids_ = {frame_.end, frame_.user, frame_.observation};
      break;
    case PromptFormat::kDeepSeekV32:
      stop_ids_ = {frame_.end};
      break;
  }
  return absl::OkStatus();
}

// The marker may be an added token or an ordinary one; what counts is that it is a single token.
absl::Status ChatFormat::FindMarker() {
  if (const absl::StatusOr<int32_t> added = tokenizer_->SpecialId(kPilcrow); added.ok()) {
    frame_.marker = *added;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer_->EncodePlain(kPilcrow));
  if (ids.size() != 1) {
    return absl::FailedPreconditionError(
        "the tokenizer has no token '¶', which the chat format needs");
  }
  frame_.marker = ids.front();
  return absl::OkStatus();
}

absl::Status ChatFormat::AppendParagraph(const PromptParagraph& paragraph, Prompt& prompt) const {
  if (paragraph.number < 0) return absl::InvalidArgumentError("paragraph number below zero");
  const std::string number = std::to_string(paragraph.number);
  if (format_ == PromptFormat::kLecternSmallV1) {
    prompt.ids.push_back(frame_.marker);
    RETURN_IF_ERROR(tokenizer_->AppendPlain(number, prompt.ids));
  } else {
    RETURN_IF_ERROR(tokenizer_->AppendPlain(absl::StrCat("[¶", number, "]"), prompt.ids));
  }
  // Encoded apart from marker and line end: the text's tokens are then the same wherever it stands,
  // and those with which an answer quotes it.
  TokenRange range{static_cast<int64_t>(prompt.ids.size()), 0};
  RETURN_IF_ERROR(tokenizer_->AppendPlain(absl::StrCat(" ", paragraph.text), prompt.ids));
  range.end = static_cast<int64_t>(prompt.ids.size());
  prompt.paragraph_tokens.push_back(range);
  return tokenizer_->AppendPlain("\n", prompt.ids);
}

absl::StatusOr<Prompt> ChatFormat::BuildShared(std::string_view system,
                                               std::span<const PromptParagraph> paragraphs) const {
  if (!system.empty() && !takes_system_text()) {
    return absl::InvalidArgumentError("this model takes no system text");
  }
  Prompt prompt;
  prompt.stop_ids = stop_ids_;
  if (frame_.mask >= 0) prompt.ids.push_back(frame_.mask);
  prompt.ids.push_back(frame_.begin);
  const bool needs_role =
      format_ == PromptFormat::kLecternSmallV1 || !system.empty() || !paragraphs.empty();
  if (frame_.system >= 0 && needs_role) prompt.ids.push_back(frame_.system);
  std::string head(system);
  if (takes_system_text() && !paragraphs.empty()) {
    if (!head.empty()) head += "\n\n";
    head += kInstructionBegin;
    head += card_.not_stated;
    head += "\n\n";
  }
  RETURN_IF_ERROR(tokenizer_->AppendPlain(head, prompt.ids));
  for (const PromptParagraph& paragraph : paragraphs) {
    RETURN_IF_ERROR(AppendParagraph(paragraph, prompt));
  }
  return prompt;
}

absl::Status ChatFormat::AppendTurn(const Turn& turn, Prompt& prompt) const {
  prompt.ids.push_back(frame_.user);
  const std::string_view question = Trimmed(turn.user);
  if (format_ == PromptFormat::kLecternSmallV1) {
    RETURN_IF_ERROR(tokenizer_->AppendPlain(absl::StrCat(" ", base::ToAbsl(question)), prompt.ids));
  } else {
    RETURN_IF_ERROR(tokenizer_->AppendPlain(question, prompt.ids));
  }
  prompt.ids.push_back(frame_.assistant);
  if (frame_.end_think >= 0) prompt.ids.push_back(frame_.end_think);
  if (!turn.answered()) return absl::OkStatus();
  return AppendAnswer(turn, prompt.ids);
}

absl::Status ChatFormat::AppendAnswer(const Turn& turn, std::vector<int32_t>& ids) const {
  for (const int32_t id : turn.assistant_ids) {
    if (id < 0 || std::find(stop_ids_.begin(), stop_ids_.end(), id) != stop_ids_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("an earlier answer holds token ", id));
    }
  }
  if (!turn.assistant_ids.empty()) {
    ids.insert(ids.end(), turn.assistant_ids.begin(), turn.assistant_ids.end());
  } else {
    RETURN_IF_ERROR(AppendAnswerText(*turn.assistant, ids));
  }
  // In the GLM formats the next turn's role token ends an answer.
  if (format_ == PromptFormat::kDeepSeekV32) ids.push_back(frame_.end);
  return absl::OkStatus();
}

// An answer may quote a document that holds "<|user|>", so it is plain text like the document; only
// the default model's markers, which it writes as one token before a number, become that token
// again.
absl::Status ChatFormat::AppendAnswerText(std::string_view text, std::vector<int32_t>& ids) const {
  if (frame_.marker < 0) return tokenizer_->AppendPlain(text, ids);
  size_t plain_begin = 0;
  for (size_t at = text.find(kPilcrow); at != std::string_view::npos;
       at = text.find(kPilcrow, at + kPilcrow.size())) {
    const size_t after = at + kPilcrow.size();
    if (after == text.size() || !IsDigit(text[after])) continue;
    RETURN_IF_ERROR(tokenizer_->AppendPlain(text.substr(plain_begin, at - plain_begin), ids));
    ids.push_back(frame_.marker);
    plain_begin = after;
  }
  return tokenizer_->AppendPlain(text.substr(plain_begin), ids);
}

absl::StatusOr<Prompt> ChatFormat::Build(const PromptInput& input) const {
  if (input.turns.empty()) return absl::InvalidArgumentError("turns: none");
  for (size_t i = 0; i < input.turns.size(); ++i) {
    const bool last = i + 1 == input.turns.size();
    if (input.turns[i].answered() == last) {
      return absl::InvalidArgumentError(absl::StrCat(
          "turns[", i,
          "]: ", last ? "the last turn has an answer already" : "an earlier turn has no answer"));
    }
  }
  ASSIGN_OR_RETURN(Prompt prompt, BuildShared(input.system, input.paragraphs));
  for (const Turn& turn : input.turns) RETURN_IF_ERROR(AppendTurn(turn, prompt));
  return prompt;
}

std::vector<ByteRange> ChatFormat::ParagraphByteRanges(const Prompt& prompt,
                                                       size_t paragraph) const {
  LECTERN_CHECK(paragraph < prompt.paragraph_tokens.size());
  const TokenRange& range = prompt.paragraph_tokens[paragraph];
  const auto ids =
      std::span(prompt.ids)
          .subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.end - range.begin));
  const std::vector<int64_t> offsets = tokenizer_->ByteOffsets(ids);
  std::vector<ByteRange> bytes(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    bytes[i] = {std::max<int64_t>(0, offsets[i] - 1), std::max<int64_t>(0, offsets[i + 1] - 1)};
  }
  return bytes;
}

AnswerParser ChatFormat::NewAnswerParser() const {
  const AnswerStyle style = format_ == PromptFormat::kLecternSmallV1 ? AnswerStyle::kMarkedSentences
                                                                     : AnswerStyle::kQuotedPassages;
  return {style, card_.not_stated};
}

}  // namespace lectern::tokenizer
