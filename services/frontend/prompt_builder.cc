#include "services/frontend/prompt_builder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/documents/excerpt.h"

namespace lectern::frontend {
namespace {

// Tokens of all kept shared prompts together; each costs about 12 bytes.
constexpr int64_t kKeptTokensMax = 4'000'000;
constexpr int64_t kCountedParagraphsMax = 1'000'000;
// Left free beside an excerpt for questions and answers: this much, or a quarter of a small
// context.
constexpr int64_t kReserveMax = 2048;
// Line end, marker and number of a first paragraph.
constexpr int32_t kFrameTokens = 3;

std::vector<documents::PlacedParagraph> PlaceAll(
    const std::vector<std::shared_ptr<const documents::ParsedDocument>>& documents) {
  std::vector<documents::PlacedParagraph> placed;
  int number = 0;
  for (size_t d = 0; d < documents.size(); ++d) {
    for (size_t p = 0; p < documents[d]->paragraphs.size(); ++p) {
      placed.push_back({++number, static_cast<int>(d), static_cast<int>(p)});
    }
  }
  return placed;
}

}  // namespace

PromptBuilder::PromptBuilder(const tokenizer::Tokenizer& tokenizer, tokenizer::ChatFormat chat,
                             documents::DocumentStore& store, PromptLimits limits)
    : tokenizer_(tokenizer), chat_(std::move(chat)), store_(store), limits_(std::move(limits)) {}

int64_t PromptBuilder::reach() const {
  if (limits_.reliable_context <= 0) return limits_.max_context;
  return std::min(limits_.reliable_context, limits_.max_context);
}

int64_t PromptBuilder::Budget() const { return reach() - std::min(kReserveMax, reach() / 4); }

absl::StatusOr<PromptBuilder::Documents> PromptBuilder::Load(
    const std::vector<std::string>& names) const {
  Documents documents;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(auto document, store_.Load(name));
    documents.push_back(std::move(document));
  }
  return documents;
}

absl::StatusOr<PromptBuilder::TokenCounts> PromptBuilder::Counts(
    const documents::ParsedDocument& document) {
  const std::string& name = document.resource.name();
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = counts_.find(name); found != counts_.end()) return found->second;
  }
  auto counts = std::make_shared<std::vector<int32_t>>();
  counts->reserve(document.paragraphs.size());
  std::vector<tokenizer::PromptParagraph> paragraphs;
  for (const documents::Paragraph& paragraph : document.paragraphs) {
    paragraphs.push_back({static_cast<int>(paragraphs.size()) + 1, paragraph.normalized});
  }
  ASSIGN_OR_RETURN(const tokenizer::Prompt prompt, chat_.BuildShared("", paragraphs));
  // From the end of one text to the end of the next: line end, marker and text. The first one's
  // frame is told apart from the prompt's head by its usual size.
  int64_t last_end = 0;
  for (const tokenizer::TokenRange& range : prompt.paragraph_tokens) {
    const int64_t begin = last_end == 0 ? range.begin - kFrameTokens : last_end;
    counts->push_back(static_cast<int32_t>(range.end - begin));
    last_end = range.end;
  }
  const std::lock_guard lock(mutex_);
  if (counted_paragraphs_ > kCountedParagraphsMax) {
    counts_.clear();
    counted_paragraphs_ = 0;
  }
  counted_paragraphs_ += static_cast<int64_t>(counts->size());
  counts_[name] = counts;
  return TokenCounts(counts);
}

absl::StatusOr<int64_t> PromptBuilder::CountTokens(const std::string& document) {
  ASSIGN_OR_RETURN(const Documents loaded, Load({document}));
  ASSIGN_OR_RETURN(const TokenCounts counts, Counts(*loaded[0]));
  int64_t total = 0;
  for (const int32_t count : *counts) total += count;
  return total;
}

absl::StatusOr<std::shared_ptr<const SharedPrompt>> PromptBuilder::Place(
    Documents documents, std::vector<documents::PlacedParagraph> placed, v1::Scope scope) const {
  std::vector<tokenizer::PromptParagraph> paragraphs;
  paragraphs.reserve(placed.size());
  for (const documents::PlacedParagraph& p : placed) {
    const auto& document = *documents[static_cast<size_t>(p.document)];
    paragraphs.push_back(
        {p.number, document.paragraphs[static_cast<size_t>(p.paragraph)].normalized});
  }
  auto shared = std::make_shared<SharedPrompt>();
  ASSIGN_OR_RETURN(shared->prompt, chat_.BuildShared("", paragraphs));
  for (size_t i = 0; i < placed.size(); ++i) {
    documents::ParagraphTokens& tokens = shared->tokens.emplace_back();
    tokens.token_begin = shared->prompt.paragraph_tokens[i].begin;
    const auto ranges = chat_.ParagraphByteRanges(shared->prompt, i);
    for (const auto& range : ranges) {
      tokens.token_byte_begins.push_back(static_cast<int32_t>(range.begin));
    }
    tokens.token_byte_begins.push_back(static_cast<int32_t>(paragraphs[i].text.size()));
  }
  shared->documents = std::move(documents);
  shared->placed = std::move(placed);
  shared->scope = scope;
  return std::shared_ptr<const SharedPrompt>(std::move(shared));
}

std::shared_ptr<const SharedPrompt> PromptBuilder::FindShared(const std::string& key) {
  const std::lock_guard lock(mutex_);
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    if (it->key != key) continue;
    kept_.splice(kept_.begin(), kept_, it);
    return kept_.front().shared;
  }
  return nullptr;
}

void PromptBuilder::KeepShared(const std::string& key, std::shared_ptr<const SharedPrompt> shared) {
  const std::lock_guard lock(mutex_);
  kept_tokens_ += static_cast<int64_t>(shared->prompt.ids.size());
  kept_.push_front({key, std::move(shared)});
  while (kept_tokens_ > kKeptTokensMax && kept_.size() > 1) {
    kept_tokens_ -= static_cast<int64_t>(kept_.back().shared->prompt.ids.size());
    kept_.pop_back();
  }
}

absl::StatusOr<std::shared_ptr<const SharedPrompt>> PromptBuilder::Shared(
    const PromptRequest& request) {
  ASSIGN_OR_RETURN(Documents documents, Load(request.documents));
  // Names stand for contents: ids come from the bytes.
  const std::string names = absl::StrJoin(request.documents, "\n");
  const std::string whole_key = "whole\n" + names;
  const std::string forced_key = "forced\n" + names;  // read whole by request alone
  if (auto kept = FindShared(whole_key)) return kept;
  if (request.whole) {
    if (auto kept = FindShared(forced_key)) return kept;
  }

  std::vector<std::vector<int32_t>> counts;
  int64_t total = 0;
  for (const auto& document : documents) {
    ASSIGN_OR_RETURN(const TokenCounts one, Counts(*document));
    counts.push_back(*one);
    for (const int32_t count : *one) total += count;
  }
  if (total <= Budget() || (request.whole && total <= limits_.max_context)) {
    std::vector<documents::PlacedParagraph> placed = PlaceAll(documents);
    ASSIGN_OR_RETURN(auto shared, Place(std::move(documents), std::move(placed), v1::SCOPE_WHOLE));
    KeepShared(total <= Budget() ? whole_key : forced_key, shared);
    return shared;
  }
  if (request.whole) {
    return common::PreconditionFailed(
        "PROMPT_TOO_LONG", "documents",
        absl::StrCat("the documents have about ", total, " tokens, the model's context is ",
                     limits_.max_context),
        {{"prompt_tokens", absl::StrCat(total)},
         {"max_context", absl::StrCat(limits_.max_context)}});
  }
  ASSIGN_OR_RETURN(auto placed, documents::ChooseExcerpt({.documents = documents,
                                                          .question = request.turns.front().user,
                                                          .token_budget = Budget(),
                                                          .paragraph_tokens = counts}));
  return Place(std::move(documents), std::move(placed), v1::SCOPE_EXCERPT);
}

absl::StatusOr<std::shared_ptr<const SharedPrompt>> PromptBuilder::BuildWhole(
    const std::vector<std::string>& documents) {
  int64_t total = 0;
  for (const std::string& name : documents) {
    ASSIGN_OR_RETURN(const int64_t tokens, CountTokens(name));
    total += tokens;
  }
  if (total > Budget()) {
    return common::PreconditionFailed(
        "READ_IN_EXCERPTS", "documents",
        absl::StrCat("about ", total, " tokens are beyond the ", Budget(),
                     " that are read whole: every question reads its own passages"),
        {{"prompt_tokens", absl::StrCat(total)}, {"reach", absl::StrCat(Budget())}});
  }
  return Shared({.documents = documents, .turns = {}, .whole = false, .max_new_tokens = 0});
}

absl::Status PromptBuilder::CheckLength(BuiltPrompt& prompt, int asked_new_tokens) const {
  const auto length = static_cast<int64_t>(prompt.ids.size());
  const int64_t room = limits_.max_context - length;
  // An answer length that nobody asked for gives way; one that was asked for is kept or refused.
  prompt.max_new_tokens = asked_new_tokens > 0
                              ? asked_new_tokens
                              : static_cast<int>(std::min<int64_t>(kDefaultNewTokens, room));
  if (room >= 1 && prompt.max_new_tokens <= room) return absl::OkStatus();
  return common::PreconditionFailed(
      "PROMPT_TOO_LONG", "prompt",
      absl::StrCat("prompt of ", length, " and answer of up to ",
                   std::max(1, prompt.max_new_tokens), " tokens exceed the context of ",
                   limits_.max_context),
      {{"prompt_tokens", absl::StrCat(length)},
       {"max_new_tokens", absl::StrCat(std::max(1, prompt.max_new_tokens))},
       {"max_context", absl::StrCat(limits_.max_context)}});
}

absl::StatusOr<BuiltPrompt> PromptBuilder::Build(const PromptRequest& request) {
  ASSIGN_OR_RETURN(auto shared, Shared(request));
  BuiltPrompt built;
  tokenizer::Prompt prompt;
  prompt.ids = shared->prompt.ids;
  for (const tokenizer::Turn& turn : request.turns) RETURN_IF_ERROR(chat_.AppendTurn(turn, prompt));
  built.ids = std::move(prompt.ids);
  built.stop_ids = shared->prompt.stop_ids;
  for (const int32_t id : limits_.eos_token_ids) {
    if (std::find(built.stop_ids.begin(), built.stop_ids.end(), id) == built.stop_ids.end()) {
      built.stop_ids.push_back(id);
    }
  }
  built.shared = std::move(shared);
  RETURN_IF_ERROR(CheckLength(built, request.max_new_tokens));
  return built;
}

}  // namespace lectern::frontend
