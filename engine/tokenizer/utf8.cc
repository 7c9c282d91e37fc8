#include "engine/tokenizer/utf8.h"

#include <algorithm>

namespace lectern::tokenizer {
namespace {

struct LeadByte {
  size_t length = 0;  // 0: no character begins so
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xBF;
};

// The narrower ranges of the second byte shut out overlong forms, surrogates and what is too large.
LeadByte ClassifyLead(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2 || byte > 0xF4) return {};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {4, 0x80, 0xBF};
}

}  // namespace

Utf8Step DecodeUtf8(std::string_view text) {
  const auto byte_at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const LeadByte lead = ClassifyLead(byte_at(0));
  if (lead.length == 0) return {Utf8Kind::kInvalid, 1, 0};
  if (lead.length == 1) return {Utf8Kind::kCharacter, 1, byte_at(0)};
  uint32_t code_point = byte_at(0) & (0x7FU >> lead.length);
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {Utf8Kind::kIncomplete, i, 0};
    const uint8_t low = i == 1 ? lead.second_min : 0x80;
    const uint8_t high = i == 1 ? lead.second_max : 0xBF;
    if (byte_at(i) < low || byte_at(i) > high) return {Utf8Kind::kInvalid, i, 0};
    code_point = (code_point << 6) | (byte_at(i) & 0x3FU);
  }
  return {Utf8Kind::kCharacter, lead.length, code_point};
}

size_t ValidUtf8Prefix(std::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    if (static_cast<uint8_t>(text[position]) < 0x80) {
      ++position;
      continue;
    }
    const Utf8Step step = DecodeUtf8(text.substr(position));
    if (step.kind != Utf8Kind::kCharacter) break;
    position += step.length;
  }
  return position;
}

bool IsValidUtf8(std::string_view text) { return ValidUtf8Prefix(text) == text.size(); }

size_t IncompleteUtf8Tail(std::string_view text) {
  const size_t reach = std::min<size_t>(text.size(), 3);
  for (size_t length = 1; length <= reach; ++length) {
    const uint8_t byte = static_cast<uint8_t>(text[text.size() - length]);
    if ((byte & 0xC0) == 0x80) continue;  // the lead byte lies further back
    const Utf8Step step = DecodeUtf8(text.substr(text.size() - length));
    return step.kind == Utf8Kind::kIncomplete && step.length == length ? length : 0;
  }
  return 0;
}

void AppendLossyUtf8(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const size_t valid = ValidUtf8Prefix(bytes);
    out.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) return;
    out.append(kReplacementCharacter);
    bytes.remove_prefix(DecodeUtf8(bytes).length);
  }
}

bool IsWhiteSpace(uint32_t code_point) {
  return (code_point >= 0x09 && code_point <= 0x0D) || code_point == 0x20 || code_point == 0x85 ||
         code_point == 0xA0 || code_point == 0x1680 ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 ||
         code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
         code_point == 0x3000;
}

}  // namespace lectern::tokenizer
