#include "engine/tokenizer/added_tokens.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/tokenizer/utf8.h"

namespace lectern::tokenizer {
namespace {

// \w of Rust's regex crate (Unicode technical standard 18, annex C).
constexpr std::string_view kWordCharacter =
    R"(\A[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])";

SplitRegex CompileWordCharacter() {
  absl::StatusOr<SplitRegex> regex = SplitRegex::Compile(kWordCharacter);
  LECTERN_CHECK(regex.ok());
  return *std::move(regex);
}

// Begin of the character that ends at the end of `text`; its size if the end is not valid UTF-8.
size_t LastCharacter(std::string_view text) {
  for (size_t length = 1; length <= std::min<size_t>(4, text.size()); ++length) {
    const Utf8Step step = DecodeUtf8(text.substr(text.size() - length));
    if (step.kind == Utf8Kind::kCharacter && step.length == length) return text.size() - length;
  }
  return text.size();
}

size_t WithoutTrailingSpace(std::string_view text) {
  while (!text.empty()) {
    const size_t last = LastCharacter(text);
    if (last == text.size() || !IsWhiteSpace(DecodeUtf8(text.substr(last)).code_point)) break;
    text = text.substr(0, last);
  }
  return text.size();
}

size_t LeadingSpace(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Utf8Step step = DecodeUtf8(text.substr(length));
    if (step.kind != Utf8Kind::kCharacter || !IsWhiteSpace(step.code_point)) break;
    length += step.length;
  }
  return length;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens)
    : tokens_(tokens), nodes_(1), first_bytes_(256), word_at_start_(CompileWordCharacter()) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    Insert(tokens_[i].content, static_cast<int32_t>(i));
    first_bytes_[static_cast<uint8_t>(tokens_[i].content.front())] = true;
  }
}

void AddedTokenMatcher::Insert(std::string_view content, int32_t token) {
  uint32_t node = 0;
  for (const char c : content) {
    const uint8_t byte = static_cast<uint8_t>(c);
    const auto& children = nodes_[node].children;
    const auto child = std::find_if(children.begin(), children.end(),
                                    [byte](const auto& entry) { return entry.first == byte; });
    if (child != children.end()) {
      node = child->second;
      continue;
    }
    const uint32_t fresh = static_cast<uint32_t>(nodes_.size());
    nodes_[node].children.emplace_back(byte, fresh);
    nodes_.emplace_back();
    node = fresh;
  }
  nodes_[node].token = token;
}

int32_t AddedTokenMatcher::LongestAtStart(std::string_view text) const {
  int32_t longest = -1;
  uint32_t node = 0;
  for (const char c : text) {
    const auto& children = nodes_[node].children;
    const auto child = std::find_if(children.begin(), children.end(), [c](const auto& entry) {
      return entry.first == static_cast<uint8_t>(c);
    });
    if (child == children.end()) break;
    node = child->second;
    if (nodes_[node].token >= 0) longest = nodes_[node].token;
  }
  return longest;
}

bool AddedTokenMatcher::StandsAlone(std::string_view text, size_t begin, size_t end) const {
  RegexScratch scratch;
  const auto is_word = [&](std::string_view at) {
    if (at.empty() || DecodeUtf8(at).kind != Utf8Kind::kCharacter) return false;
    const auto match = word_at_start_.Find(at.substr(0, DecodeUtf8(at).length), 0, scratch);
    return match.ok() && match->has_value();
  };
  const size_t before = LastCharacter(text.substr(0, begin));
  return !is_word(text.substr(before, begin - before)) && !is_word(text.substr(end));
}

std::vector<TextSegment> AddedTokenMatcher::Split(std::string_view text) const {
  std::vector<TextSegment> segments;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const int32_t found =
        first_bytes_[static_cast<uint8_t>(text[at])] ? LongestAtStart(text.substr(at)) : -1;
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    size_t begin = at;
    size_t end = at + token.content.size();
    at = end;
    if (token.single_word && !StandsAlone(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(done, WithoutTrailingSpace(text.substr(0, begin)));
    if (token.rstrip) end += LeadingSpace(text.substr(end));
    if (done < begin) segments.push_back({std::nullopt, text.substr(done, begin - done)});
    segments.push_back({token.id, text.substr(begin, end - begin)});
    done = at = end;
  }
  if (done < text.size()) segments.push_back({std::nullopt, text.substr(done)});
  return segments;
}

}  // namespace lectern::tokenizer
