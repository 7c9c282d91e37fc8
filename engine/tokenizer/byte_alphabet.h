#pragma once
// GPT-2's byte alphabet: every byte has one printable character, so that a JSON vocabulary can name
// any byte string. Printable Latin-1 bytes stand for themselves; the other 68 become U+0100
// onwards. Source: GPT-2 encoder.py, bytes_to_unicode.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lectern::tokenizer {

// The UTF-8 of the character that stands for `byte`.
std::string AlphabetCharacter(uint8_t byte);

// The bytes that `name` spells, or nothing if it holds a character outside the alphabet (special
// tokens such as "<｜User｜>" do).
std::optional<std::string> BytesOfAlphabet(std::string_view name);

}  // namespace lectern::tokenizer
