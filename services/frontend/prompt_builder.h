#pragma once
// From document names and turns to the tokens of a prompt, and back from token positions to
// paragraphs. What all questions over the same documents share is built once and kept: the second
// question encodes only itself.

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tokenizer/chat.h"
#include "engine/tokenizer/tokenizer.h"
#include "services/documents/citations.h"
#include "services/documents/document_store.h"

namespace lectern::frontend {

struct PromptRequest {
  std::vector<std::string> documents;  // names, in the order in which the prompt shows them
  std::vector<tokenizer::Turn> turns;  // all but the last answered
  bool whole = false;                  // read whole even beyond the reliable context
  int max_new_tokens = 0;              // 0: kDefaultNewTokens, or what fits
};

inline constexpr int kDefaultNewTokens = 256;

// The part before the first turn. Immutable, shared by the answers that run over it.
struct SharedPrompt {
  std::vector<std::shared_ptr<const documents::ParsedDocument>> documents;
  std::vector<documents::PlacedParagraph> placed;
  std::vector<documents::ParagraphTokens> tokens;  // [placed] where each stands in the prompt
  tokenizer::Prompt prompt;                        // ids and stop ids
  v1::Scope scope = v1::SCOPE_WHOLE;
};

struct BuiltPrompt {
  std::shared_ptr<const SharedPrompt> shared;
  std::vector<int32_t> ids;
  std::vector<int32_t> stop_ids;
  int max_new_tokens = 0;  // resolved
};

struct PromptLimits {
  int64_t max_context = 0;             // tokens, prompt and answer together; the engine's
  int64_t reliable_context = 0;        // tokens of prompt; 0: max_context
  std::vector<int32_t> eos_token_ids;  // stop here too, beside the chat format's stop tokens
};

// Thread safe. Encoding runs on the caller's thread.
class PromptBuilder {
 public:
  // Tokenizer and store must outlive the builder.
  PromptBuilder(const tokenizer::Tokenizer& tokenizer, tokenizer::ChatFormat chat,
                documents::DocumentStore& store, PromptLimits limits);

  // NotFound: a document. FailedPrecondition PROMPT_TOO_LONG with the numbers: beyond max_context.
  // The scope is decided by the documents, `whole` and the first turn alone, so that a conversation
  // keeps its excerpt, and with it its prefix.
  absl::StatusOr<BuiltPrompt> Build(const PromptRequest& request);

  // What Build(…) shares between questions; for warming. FailedPrecondition: the documents are
  // beyond the model's reach, so that each question reads its own excerpt.
  absl::StatusOr<std::shared_ptr<const SharedPrompt>> BuildWhole(
      const std::vector<std::string>& documents);

  // Tokens of a document's paragraphs as the prompt lays them out.
  absl::StatusOr<int64_t> CountTokens(const std::string& document);

  const tokenizer::Tokenizer& tokenizer() const { return tokenizer_; }
  const tokenizer::ChatFormat& chat() const { return chat_; }
  // Tokens of prompt up to which documents are read whole.
  int64_t reach() const;

 private:
  using Documents = std::vector<std::shared_ptr<const documents::ParsedDocument>>;
  using TokenCounts = std::shared_ptr<const std::vector<int32_t>>;

  absl::StatusOr<Documents> Load(const std::vector<std::string>& names) const;
  absl::StatusOr<TokenCounts> Counts(const documents::ParsedDocument& document);
  absl::StatusOr<std::shared_ptr<const SharedPrompt>> Shared(const PromptRequest& request);
  absl::StatusOr<std::shared_ptr<const SharedPrompt>> Place(
      Documents documents, std::vector<documents::PlacedParagraph> placed, v1::Scope scope) const;
  std::shared_ptr<const SharedPrompt> FindShared(const std::string& key);
  void KeepShared(const std::string& key, std::shared_ptr<const SharedPrompt> shared);
  int64_t Budget() const;
  absl::Status CheckLength(BuiltPrompt& prompt, int asked_new_tokens) const;

  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatFormat chat_;
  documents::DocumentStore& store_;
  const PromptLimits limits_;

  std::mutex mutex_;
  struct Kept {
    std::string key;
    std::shared_ptr<const SharedPrompt> shared;
  };
  std::list<Kept> kept_;  // most recently used first
  int64_t kept_tokens_ = 0;
  std::map<std::string, TokenCounts> counts_;  // by document name
  int64_t counted_paragraphs_ = 0;
};

}  // namespace lectern::frontend
