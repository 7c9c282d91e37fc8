#include "services/documents/citations.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "engine/base/check.h"
#include "services/documents/folded_text.h"
#include "services/documents/passages.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

// A quote with fewer letters and digits stands somewhere in every document; it counts only in a
// paragraph that the answer names.
constexpr int64_t kWordBytesAnywhere = 3;
// The same for a part of an answer: "Yes." is no quote.
constexpr int64_t kPartWordBytesAnywhere = 12;
// From here on a quote may end inside a word, as an answer does that ran out of tokens.
constexpr size_t kCutQuoteBytesMin = 16;

const Paragraph& ParagraphOf(DocumentList documents, const PlacedParagraph& placed) {
  LECTERN_CHECK(static_cast<size_t>(placed.document) < documents.size());
  const auto& paragraphs = documents[static_cast<size_t>(placed.document)]->paragraphs;
  LECTERN_CHECK(static_cast<size_t>(placed.paragraph) < paragraphs.size());
  return paragraphs[static_cast<size_t>(placed.paragraph)];
}

// The placed paragraphs folded one behind another, searched as one text within each run of
// neighbours.
class QuoteIndex {
 public:
  QuoteIndex(DocumentList documents, std::span<const PlacedParagraph> placed, Folding folding)
      : documents_(documents), placed_(placed), folding_(folding) {
    for (size_t i = 0; i < placed.size(); ++i) {
      if (i > 0 && !AreNeighbours(placed[i - 1], placed[i])) EndRun();
      begins_.push_back(folded_.size());
      folded_ += Fold(ParagraphOf(documents, placed[i]).normalized, folding);
    }
    EndRun();
  }

  Folding folding() const { return folding_; }

  // Where `folded_quote` stands, best place first: the named paragraph that comes first in `named`,
  // then the first place.
  std::optional<v1::Passage> Find(std::string_view folded_quote, std::span<const int> named,
                                  bool named_only) const {
    size_t best_rank = named_only ? named.size() : named.size() + 1;
    std::optional<v1::Passage> best;
    size_t run_begin = 0;
    for (const size_t run_end : run_ends_) {
      const std::string_view run = std::string_view(folded_).substr(run_begin, run_end - run_begin);
      for (size_t at = Next(run, folded_quote, 0); at != kNowhere && best_rank > 0;
           at = Next(run, folded_quote, at + 1)) {
        const size_t begin = run_begin + at;
        const size_t rank = RankOf(begin, begin + folded_quote.size(), named);
        if (rank >= best_rank) continue;
        std::optional<v1::Passage> passage = PassageAt(begin, begin + folded_quote.size());
        if (!passage.has_value()) continue;
        best = std::move(passage);
        best_rank = rank;
      }
      run_begin = run_end;
    }
    return best;
  }

 private:
  static constexpr size_t kNowhere = std::string_view::npos;

  static bool AreNeighbours(const PlacedParagraph& first, const PlacedParagraph& second) {
    return first.document == second.document && first.paragraph + 1 == second.paragraph;
  }
  void EndRun() {
    if (run_ends_.empty() || run_ends_.back() < folded_.size()) run_ends_.push_back(folded_.size());
  }

  // memmem and not find: linear also for hostile repetitions.
  static size_t Next(std::string_view text, std::string_view pattern, size_t from) {
    if (from + pattern.size() > text.size()) return kNowhere;
    const void* found =
        memmem(text.data() + from, text.size() - from, pattern.data(), pattern.size());
    if (found == nullptr) return kNowhere;
    return static_cast<size_t>(static_cast<const char*>(found) - text.data());
  }

  // Index into placed_ of the paragraph that holds a byte of folded_.
  size_t PlacedAt(size_t folded_offset) const {
    const auto next = std::upper_bound(begins_.begin(), begins_.end(), folded_offset);
    return static_cast<size_t>(next - begins_.begin()) - 1;
  }

  // The place of the paragraph where a match begins, or else ends, in the list of names; its size
  // where in neither.
  size_t RankOf(size_t begin, size_t end, std::span<const int> named) const {
    const auto rank = [&](size_t offset) {
      const int number = placed_[PlacedAt(offset)].number;
      return static_cast<size_t>(std::find(named.begin(), named.end(), number) - named.begin());
    };
    return std::min(rank(begin), rank(end - 1));
  }

  // nullopt where the match begins inside a word, or a short one ends in one.
  std::optional<v1::Passage> PassageAt(size_t begin, size_t end) const {
    const size_t first = PlacedAt(begin);
    const size_t last = PlacedAt(end - 1);
    const Paragraph& first_paragraph = ParagraphOf(documents_, placed_[first]);
    const Paragraph& last_paragraph = ParagraphOf(documents_, placed_[last]);
    const auto from = static_cast<size_t>(OriginsOf(first)[begin - begins_[first]].begin);
    const auto to = static_cast<size_t>(OriginsOf(last)[end - 1 - begins_[last]].end);
    if (InsideWord(first_paragraph.normalized, from)) return std::nullopt;
    if (end - begin < kCutQuoteBytesMin && InsideWord(last_paragraph.normalized, to))
      return std::nullopt;
    const ParsedDocument& document = *documents_[static_cast<size_t>(placed_[first].document)];
    return MakePassage(document, SourceBegin(first_paragraph, from), SourceEnd(last_paragraph, to));
  }
  // The latest one is kept: candidates come in order, many of them from one paragraph.
  const std::vector<FoldedOrigin>& OriginsOf(size_t placed) const {
    if (origins_of_ != placed) {
      origins_ = FoldOrigins(ParagraphOf(documents_, placed_[placed]).normalized, folding_);
      origins_of_ = placed;
    }
    return origins_;
  }
  static bool InsideWord(std::string_view text, size_t border) {
    return border > 0 && border < text.size() && IsAsciiWord(text[border - 1]) &&
           IsAsciiWord(text[border]);
  }

  DocumentList documents_;
  std::span<const PlacedParagraph> placed_;
  Folding folding_;
  std::string folded_;
  std::vector<size_t> begins_;    // per placed paragraph, in folded_
  std::vector<size_t> run_ends_;  // ascending, in folded_
  mutable std::vector<FoldedOrigin> origins_;
  mutable size_t origins_of_ = kNowhere;
};

// Looks for one quote in the strict folding first, then in the loose one, which is built when first
// needed.
class QuoteFinder {
 public:
  QuoteFinder(DocumentList documents, std::span<const PlacedParagraph> placed,
              std::span<const int> named)
      : documents_(documents), placed_(placed), named_(named) {}

  std::optional<v1::Passage> Find(std::string_view quote, int64_t word_bytes_anywhere) {
    for (const Folding folding : {Folding::kSpaces, Folding::kTypography}) {
      const std::string folded = Fold(quote, folding);
      const int64_t word_bytes = CountWordBytes(folded);
      if (word_bytes == 0) return std::nullopt;
      const bool named_only = word_bytes < word_bytes_anywhere;
      std::optional<v1::Passage> found = IndexOf(folding).Find(folded, named_, named_only);
      if (found.has_value()) return found;
    }
    return std::nullopt;
  }

 private:
  const QuoteIndex& IndexOf(Folding folding) {
    const auto found = indexes_.find(folding);
    if (found != indexes_.end()) return found->second;
    return indexes_.try_emplace(folding, documents_, placed_, folding).first->second;
  }

  DocumentList documents_;
  std::span<const PlacedParagraph> placed_;
  std::span<const int> named_;
  std::map<Folding, QuoteIndex> indexes_;
};

// What stands between quotation marks in `text`, in order.
std::vector<std::string_view> QuotedParts(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {
      {"\"", "\""}, {"“", "”"}, {"«", "»"}, {"„", "“"}};
  std::vector<std::string_view> parts;
  for (const auto& [open, close] : kMarks) {
    for (size_t at = text.find(open); at != std::string_view::npos; at = text.find(open, at)) {
      const size_t begin = at + open.size();
      const size_t end = text.find(close, begin);
      if (end == std::string_view::npos) break;
      parts.push_back(text.substr(begin, end - begin));
      at = end + close.size();
    }
  }
  return parts;
}

}  // namespace

std::vector<v1::Passage> FindQuote(DocumentList documents, std::span<const PlacedParagraph> placed,
                                   std::span<const int> named_paragraphs, std::string_view quote) {
  QuoteFinder finder(documents, placed, named_paragraphs);
  std::vector<v1::Passage> passages;
  const auto add = [&passages](v1::Passage passage) {
    for (const v1::Passage& known : passages) {
      if (known.document() == passage.document() && known.byte_begin() == passage.byte_begin() &&
          known.byte_end() == passage.byte_end()) {
        return;
      }
    }
    passages.push_back(std::move(passage));
  };
  if (auto whole = finder.Find(quote, kWordBytesAnywhere)) {
    add(*std::move(whole));
    return passages;
  }
  for (const ByteRange& range : SplitSentences(quote)) {
    const std::string_view sentence = quote.substr(static_cast<size_t>(range.begin),
                                                   static_cast<size_t>(range.end - range.begin));
    if (auto found = finder.Find(sentence, kPartWordBytesAnywhere)) {
      add(*std::move(found));
      continue;
    }
    // An answer in the model's own words may still quote.
    for (const std::string_view part : QuotedParts(sentence)) {
      if (auto found = finder.Find(part, kPartWordBytesAnywhere)) add(*std::move(found));
    }
  }
  return passages;
}

}  // namespace lectern::documents
