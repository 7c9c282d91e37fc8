#include "engine/tokenizer/answer.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace lectern::tokenizer {
namespace {

constexpr std::string_view kPilcrow = "\xC2\xB6";
constexpr size_t kMaxDigits = 9;
constexpr size_t kMaxMarkerBytes = 256;
constexpr std::string_view kSpaces = " \t\r\n";

enum class MarkerState { kMarker, kNone, kUndecided };

struct Marker {
  MarkerState state = MarkerState::kNone;
  size_t length = 0;
  std::vector<int> paragraphs;
};

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

char Lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Reads one marker from the start of a text. `final`: nothing more will follow.
class MarkerReader {
 public:
  MarkerReader(std::string_view text, bool final) : text_(text), final_(final) {}

  Marker Read() {
    const bool brackets = text_.starts_with('[');
    if (brackets) position_ = 1;
    Marker marker;
    while (true) {
      // Inside brackets a list may name the sign once: [¶3, 5].
      const MarkerState sign = Pilcrow(brackets && !marker.paragraphs.empty());
      if (sign != MarkerState::kMarker) return {sign, 0, {}};
      const MarkerState number = Number(marker.paragraphs);
      if (number != MarkerState::kMarker) return {number, 0, {}};
      if (!brackets) break;
      if (AtEnd()) return Undecided();
      if (text_[position_] == ']') {
        ++position_;
        break;
      }
      const size_t separator = position_;
      while (!AtEnd() && (text_[position_] == ',' || text_[position_] == ' ')) ++position_;
      if (separator == position_ || position_ > kMaxMarkerBytes) return {};
    }
    marker.state = MarkerState::kMarker;
    marker.length = position_;
    return marker;
  }

 private:
  bool AtEnd() const { return position_ == text_.size(); }
  Marker Undecided() const {
    return {final_ ? MarkerState::kNone : MarkerState::kUndecided, 0, {}};
  }

  MarkerState Pilcrow(bool optional) {
    const std::string_view rest = text_.substr(position_);
    if (rest.starts_with(kPilcrow)) {
      position_ += kPilcrow.size();
      return MarkerState::kMarker;
    }
    if (rest.size() < kPilcrow.size() && kPilcrow.starts_with(rest)) return Undecided().state;
    return optional ? MarkerState::kMarker : MarkerState::kNone;
  }

  MarkerState Number(std::vector<int>& paragraphs) {
    size_t end = position_;
    while (end < text_.size() && IsDigit(text_[end])) ++end;
    if (end - position_ > kMaxDigits) return MarkerState::kNone;
    if (end == text_.size() && !final_) return MarkerState::kUndecided;  // more digits may come
    if (end == position_) return MarkerState::kNone;
    int number = 0;
    for (; position_ < end; ++position_) number = number * 10 + (text_[position_] - '0');
    paragraphs.push_back(number);
    return MarkerState::kMarker;
  }

  std::string_view text_;
  bool final_;
  size_t position_ = 0;
};

// What stands between quotation marks, straight or curved.
std::vector<std::string> QuotedParts(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const size_t straight = text.find('"');
    const size_t curved = text.find("\u201C");
    const size_t begin = std::min(straight, curved);
    if (begin == std::string_view::npos) return parts;
    const std::string_view open = begin == straight ? "\"" : "\u201C";
    const std::string_view close = begin == straight ? "\"" : "\u201D";
    text.remove_prefix(begin + open.size());
    const size_t end = text.find(close);
    if (end == std::string_view::npos) return parts;
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + close.size());
  }
}

bool SaysNotStated(std::string_view text, std::string_view phrase) {
  phrase = Trimmed(phrase);
  while (!phrase.empty() && phrase.back() == '.') phrase.remove_suffix(1);
  text = Trimmed(text);
  while (!text.empty() && (text.front() == '"' || text.front() == '\'')) text.remove_prefix(1);
  return !phrase.empty() && text.size() >= phrase.size() &&
         std::equal(phrase.begin(), phrase.end(), text.begin(),
                    [](char a, char b) { return Lowered(a) == Lowered(b); });
}

}  // namespace

AnswerParser::AnswerParser(AnswerStyle style, std::string not_stated)
    : style_(style), not_stated_(std::move(not_stated)), segments_(1) {}

std::string AnswerParser::Push(std::string_view delta) {
  held_ += delta;
  return Consume(/*final=*/false);
}

std::string AnswerParser::Finish() { return Consume(/*final=*/true); }

// `before`: raw text since the last decision, not yet in text_.
bool AnswerParser::BareMarkerMayStart(std::string_view before) const {
  if (Trimmed(before).empty() && Trimmed(segments_.back().text).empty()) return true;
  const bool blank = before.find_first_not_of(" \t") == std::string_view::npos;
  std::string_view ending = blank ? std::string_view(text_) : before;
  ending = ending.substr(0, ending.find_last_not_of(" \t") + 1);
  if (ending.empty()) return true;
  constexpr std::string_view kSentenceEnds = "\n.!?\")";
  return kSentenceEnds.find(ending.back()) != std::string_view::npos || ending.ends_with("\u201D");
}

std::string AnswerParser::Consume(bool final) {
  std::string out;
  std::string_view rest = held_;
  size_t searched = 0;
  while (true) {
    // The first byte of the sign alone may be all there is yet.
    const size_t at = rest.find_first_of("[\xC2", searched);
    if (at == std::string_view::npos) break;
    const bool bare = rest[at] != '[';
    Marker marker;
    if (!bare || BareMarkerMayStart(rest.substr(0, at))) {
      marker = MarkerReader(rest.substr(at), final).Read();
    }
    if (marker.state == MarkerState::kUndecided) {
      Emit(rest.substr(0, at), out);
      held_ = std::string(rest.substr(at));
      return out;
    }
    if (marker.state == MarkerState::kNone) {
      searched = at + 1;
      continue;
    }
    Emit(rest.substr(0, at), out);
    segments_.push_back({std::move(marker.paragraphs), {}});
    skip_spaces_ = true;
    rest.remove_prefix(at + marker.length);
    searched = 0;
  }
  Emit(rest, out);
  held_.clear();
  return out;
}

void AnswerParser::Emit(std::string_view text, std::string& out) {
  if (skip_spaces_) {
    const bool at_start = text_.empty();
    text.remove_prefix(std::min(text.find_first_not_of(at_start ? kSpaces : " "), text.size()));
  }
  if (text.empty()) return;
  skip_spaces_ = false;
  segments_.back().text += text;
  text_ += text;
  out += text;
}

std::vector<AnswerQuote> AnswerParser::Quotes() const {
  // Some models cite behind the quote ("..." [¶3]); then each marker owns the text before it.
  const bool behind =
      style_ == AnswerStyle::kQuotedPassages && !QuotedParts(segments_.front().text).empty();
  std::vector<AnswerQuote> quotes;
  std::vector<int> carried;  // markers with nothing between them share what comes
  for (size_t i = 1; i < segments_.size(); ++i) {
    const std::string_view text = Trimmed(segments_[behind ? i - 1 : i].text);
    carried.insert(carried.end(), segments_[i].paragraphs.begin(), segments_[i].paragraphs.end());
    const bool more = i + 1 < segments_.size();
    if (text.empty() && behind && !quotes.empty()) {
      quotes.back().paragraphs.insert(quotes.back().paragraphs.end(), carried.begin(),
                                      carried.end());
      carried.clear();
      continue;
    }
    if (text.empty() && more) continue;
    std::vector<std::string> parts;
    if (style_ == AnswerStyle::kQuotedPassages) parts = QuotedParts(text);
    if (parts.empty()) parts.emplace_back(text);
    for (std::string& part : parts) quotes.push_back({carried, std::move(part)});
    carried.clear();
  }
  return quotes;
}

ParsedAnswer AnswerParser::Parsed() const {
  ParsedAnswer parsed;
  parsed.text = std::string(Trimmed(text_));
  parsed.quotes = Quotes();
  const bool says_not_stated = segments_.size() == 1 && SaysNotStated(parsed.text, not_stated_);
  parsed.answered = !parsed.text.empty() && !says_not_stated;
  return parsed;
}

ParsedAnswer ParseAnswer(AnswerStyle style, std::string_view not_stated, std::string_view answer) {
  AnswerParser parser(style, std::string(not_stated));
  parser.Push(answer);
  parser.Finish();
  return parser.Parsed();
}

}  // namespace lectern::tokenizer
