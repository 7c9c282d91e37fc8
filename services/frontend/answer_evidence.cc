#include "services/frontend/answer_evidence.h"

#include <set>
#include <tuple>
#include <utility>

namespace lectern::frontend {

void DescribeAnswer(const tokenizer::ChatFormat& chat, const SharedPrompt& shared,
                    std::string_view raw_text, std::span<const uint32_t> counts,
                    const v1::AnswerOptions& options, v1::Answer& answer) {
  tokenizer::AnswerParser parser = chat.NewAnswerParser();
  parser.Push(raw_text);
  parser.Finish();
  const tokenizer::ParsedAnswer parsed = parser.Parsed();
  answer.set_text(parsed.text);
  answer.set_raw_text(std::string(raw_text));
  answer.set_answered(parsed.answered);
  answer.set_scope(shared.scope);

  // Two markers may name one quote; it is cited once.
  std::set<std::tuple<std::string, int64_t, int64_t>> cited;
  for (const tokenizer::AnswerQuote& quote : parsed.quotes) {
    for (v1::Passage& passage :
         documents::FindQuote(shared.documents, shared.placed, quote.paragraphs, quote.text)) {
      if (cited.emplace(passage.document(), passage.byte_begin(), passage.byte_end()).second) {
        *answer.add_citations() = std::move(passage);
      }
    }
  }
  const int limit = options.evidence() == 0 ? kDefaultEvidence : options.evidence();
  if (limit < 0 || counts.empty()) return;
  for (v1::Passage& passage :
       documents::RankEvidence(shared.documents, shared.placed, shared.tokens, counts, limit)) {
    *answer.add_evidence() = std::move(passage);
  }
}

}  // namespace lectern::frontend
