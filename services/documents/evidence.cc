// RankEvidence of citations.h.

#include <algorithm>
#include <numeric>

#include "engine/base/check.h"
#include "services/documents/citations.h"
#include "services/documents/passages.h"

namespace lectern::documents {
namespace {

constexpr int64_t kPassageBytesMax = 600;  // design: one paragraph of at most 600 bytes

// A candidate passage with what fell into it.
struct Window {
  size_t placed = 0;
  ByteRange range;  // of the paragraph's normalized text
  uint64_t selections = 0;
  int64_t tokens = 0;
  double score = 0;
};

// Adds each token of a paragraph to the window that its last byte stands in: a token carries the
// space before its word, so its first byte may belong to the window before.
void CountTokens(const ParagraphTokens& tokens, std::span<const uint32_t> counts,
                 std::span<Window> windows) {
  if (tokens.token_byte_begins.empty()) return;
  for (size_t i = 0; i + 1 < tokens.token_byte_begins.size(); ++i) {
    const int64_t position = tokens.token_begin + static_cast<int64_t>(i);
    if (position < 0 || position >= static_cast<int64_t>(counts.size())) continue;
    const int64_t begin = tokens.token_byte_begins[i];
    const int64_t last = std::max<int64_t>(begin, tokens.token_byte_begins[i + 1] - 1);
    const auto behind = std::upper_bound(
        windows.begin(), windows.end(), last,
        [](int64_t byte, const Window& window) { return byte < window.range.begin; });
    if (behind == windows.begin()) continue;
    // A space between two windows falls to the one before it, so that no token is lost.
    Window& window = *(behind - 1);
    window.selections += counts[static_cast<size_t>(position)];
    ++window.tokens;
  }
}

}  // namespace

std::vector<v1::Passage> RankEvidence(DocumentList documents,
                                      std::span<const PlacedParagraph> placed,
                                      std::span<const ParagraphTokens> tokens,
                                      std::span<const uint32_t> counts, int limit) {
  LECTERN_CHECK(placed.size() == tokens.size());
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (total == 0 || limit <= 0) return {};
  std::vector<Window> windows;
  for (size_t i = 0; i < placed.size(); ++i) {
    const ParsedDocument& document = *documents[static_cast<size_t>(placed[i].document)];
    const Paragraph& paragraph = document.paragraphs[static_cast<size_t>(placed[i].paragraph)];
    const size_t first = windows.size();
    for (const ByteRange& range : SentenceWindows(paragraph, kPassageBytesMax)) {
      windows.push_back({.placed = i, .range = range});
    }
    CountTokens(tokens[i], counts, std::span(windows).subspan(first));
  }
  for (Window& window : windows) {
    if (window.tokens == 0) continue;
    const double share = static_cast<double>(window.selections) / static_cast<double>(total);
    const double uniform_share =
        static_cast<double>(window.tokens) / static_cast<double>(counts.size());
    window.score = share / uniform_share;
  }
  // What was never selected is no evidence, however short the list.
  std::erase_if(windows, [](const Window& window) { return window.selections == 0; });
  std::stable_sort(windows.begin(), windows.end(),
                   [](const Window& a, const Window& b) { return a.score > b.score; });
  windows.resize(std::min(windows.size(), static_cast<size_t>(limit)));

  std::vector<v1::Passage> passages;
  for (const Window& window : windows) {
    const ParsedDocument& document =
        *documents[static_cast<size_t>(placed[window.placed].document)];
    const Paragraph& paragraph =
        document.paragraphs[static_cast<size_t>(placed[window.placed].paragraph)];
    passages.push_back(MakePassage(document,
                                   SourceBegin(paragraph, static_cast<size_t>(window.range.begin)),
                                   SourceEnd(paragraph, static_cast<size_t>(window.range.end))));
    passages.back().set_score(window.score);
  }
  return passages;
}

}  // namespace lectern::documents
