#include "services/documents/excerpt.h"

#include <algorithm>
#include <string>

#include "engine/base/check.h"
#include "engine/base/status.h"
#include "services/documents/lexical_index.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

// Enough for any budget: beyond so many hits the words are those of every paragraph.
constexpr int kHitsMax = 4096;
// How far above a hit its heading is looked for.
constexpr int kHeadingDistanceMax = 40;
constexpr size_t kHeadingBytesMax = 80;

// A line of a table of contents names every subject and says nothing about it; being short, it
// would win over the text.
bool IsContentsLine(std::string_view text) {
  return text.find(". . . .") != std::string_view::npos ||
         text.find(".....") != std::string_view::npos;
}

// A title by its look: short, unfinished, beginning with a capital, a number or Markdown's mark.
bool LooksLikeHeading(std::string_view text) {
  if (text.empty() || text.size() > kHeadingBytesMax || IsContentsLine(text)) return false;
  if (text[0] == '#') return true;
  if (!IsAsciiUpper(text[0]) && !IsAsciiDigit(text[0])) return false;
  const bool has_letter = std::any_of(text.begin(), text.end(), IsAsciiLetter);
  return has_letter && std::string_view(".!?:;,|").find(text.back()) == std::string_view::npos;
}

// Chooses paragraphs one by one while the budget lasts.
class Excerpt {
 public:
  explicit Excerpt(const ExcerptRequest& request) : request_(request), left_(request.token_budget) {
    LECTERN_CHECK(request.paragraph_tokens.size() == request.documents.size());
    for (size_t d = 0; d < request.documents.size(); ++d) {
      const auto count = request.documents[d]->paragraphs.size();
      LECTERN_CHECK(request.paragraph_tokens[d].size() == count);
      for (size_t p = 0; p < count; ++p) {
        all_.push_back(
            {static_cast<int>(all_.size()) + 1, static_cast<int>(d), static_cast<int>(p)});
      }
    }
    chosen_.resize(all_.size());
  }

  int64_t size() const { return static_cast<int64_t>(all_.size()); }
  std::string_view TextAt(int64_t index) const {
    const PlacedParagraph& placed = all_[static_cast<size_t>(index)];
    return request_.documents[static_cast<size_t>(placed.document)]
        ->paragraphs[static_cast<size_t>(placed.paragraph)]
        .normalized;
  }

  // False where it does not fit; true also where it is there already.
  bool Choose(int64_t index) {
    const auto i = static_cast<size_t>(index);
    if (chosen_[i]) return true;
    const PlacedParagraph& placed = all_[i];
    const int64_t tokens = request_.paragraph_tokens[static_cast<size_t>(placed.document)]
                                                    [static_cast<size_t>(placed.paragraph)];
    if (tokens > left_) return false;
    left_ -= tokens;
    chosen_[i] = true;
    ++num_chosen_;
    return true;
  }

  void ChooseWithSurroundings(int64_t hit) {
    if (!Choose(hit)) return;
    if (SameDocument(hit, hit - 1)) Choose(hit - 1);
    if (SameDocument(hit, hit + 1)) Choose(hit + 1);
    for (int64_t at = hit - 1; hit - at <= kHeadingDistanceMax && SameDocument(hit, at); --at) {
      if (!LooksLikeHeading(TextAt(at))) continue;
      Choose(at);
      break;
    }
  }

  // Paragraph by paragraph from the beginning of every document in turn; what does not fit is
  // passed over.
  void ChooseBeginnings() {
    std::vector<int64_t> next;
    std::vector<int64_t> end;
    for (const auto& document : request_.documents) {
      next.push_back(end.empty() ? 0 : end.back());
      end.push_back(next.back() + static_cast<int64_t>(document->paragraphs.size()));
    }
    bool any = true;
    while (any && left_ > 0) {
      any = false;
      for (size_t d = 0; d < next.size(); ++d) {
        if (next[d] == end[d]) continue;
        Choose(next[d]++);
        any = true;
      }
    }
  }

  bool empty() const { return num_chosen_ == 0; }
  bool full() const { return left_ <= 0; }

  std::vector<PlacedParagraph> InOrder() const {
    std::vector<PlacedParagraph> placed;
    for (size_t i = 0; i < all_.size(); ++i) {
      if (chosen_[i]) placed.push_back(all_[i]);
    }
    return placed;
  }

 private:
  bool SameDocument(int64_t index, int64_t other) const {
    return other >= 0 && other < size() &&
           all_[static_cast<size_t>(index)].document == all_[static_cast<size_t>(other)].document;
  }

  const ExcerptRequest& request_;
  int64_t left_;
  std::vector<PlacedParagraph> all_;
  std::vector<bool> chosen_;
  int64_t num_chosen_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<PlacedParagraph>> ChooseExcerpt(const ExcerptRequest& request) {
  Excerpt excerpt(request);
  ASSIGN_OR_RETURN(const std::unique_ptr<LexicalIndex> index, LexicalIndex::Create());
  for (int64_t i = 0; i < excerpt.size(); ++i) {
    const std::string_view text = excerpt.TextAt(i);
    RETURN_IF_ERROR(index->Add(IsContentsLine(text) ? "" : text));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> hits, index->Search(request.question, kHitsMax));
  for (const int64_t hit : hits) {
    if (excerpt.full()) break;
    excerpt.ChooseWithSurroundings(hit);
  }
  if (excerpt.empty()) excerpt.ChooseBeginnings();
  return excerpt.InOrder();
}

}  // namespace lectern::documents
