#include "engine/tokenizer/byte_alphabet.h"

#include <array>

#include "engine/tokenizer/utf8.h"

namespace lectern::tokenizer {
namespace {

constexpr uint32_t kNumShifted = 68;                    // bytes without a printable character
constexpr uint32_t kAlphabetEnd = 0x100 + kNumShifted;  // one past the last character

constexpr bool StandsForItself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Tables {
  std::array<uint16_t, 256> character_of{};
  std::array<int16_t, kAlphabetEnd> byte_of{};  // -1: not in the alphabet
};

constexpr Tables MakeTables() {
  Tables tables;
  for (int16_t& byte : tables.byte_of) byte = -1;
  uint16_t shifted = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint16_t character = StandsForItself(byte) ? static_cast<uint16_t>(byte) : shifted++;
    tables.character_of[byte] = character;
    tables.byte_of[character] = static_cast<int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = MakeTables();
static_assert(kTables.character_of[255] == 255 && kTables.byte_of[kAlphabetEnd - 1] == 0xAD);

}  // namespace

std::string AlphabetCharacter(uint8_t byte) {
  const uint16_t character = kTables.character_of[byte];
  if (character < 0x80) return std::string(1, static_cast<char>(character));
  return {static_cast<char>(0xC0 | (character >> 6)), static_cast<char>(0x80 | (character & 0x3F))};
}

std::optional<std::string> BytesOfAlphabet(std::string_view name) {
  std::string bytes;
  while (!name.empty()) {
    const Utf8Step step = DecodeUtf8(name);
    if (step.kind != Utf8Kind::kCharacter || step.code_point >= kAlphabetEnd) return std::nullopt;
    const int16_t byte = kTables.byte_of[step.code_point];
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
    name.remove_prefix(step.length);
  }
  return bytes;
}

}  // namespace lectern::tokenizer
