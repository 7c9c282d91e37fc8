#pragma once
// Random texts for property tests: words of several scripts, all kinds of spaces, lists, tables,
// pages.

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace lectern::documents {

struct RandomText {
  std::string text;
  std::vector<int64_t> page_begins;
};

inline std::string_view RandomPiece(std::mt19937& random) {
  static constexpr std::string_view kPieces[] = {"the",
                                                 "Quick",
                                                 "brown",
                                                 "fox.",
                                                 "Jumps!",
                                                 "over?",
                                                 "a",
                                                 "I",
                                                 "3.",
                                                 "12)",
                                                 "(b)",
                                                 "7.1.2",
                                                 "e.g.",
                                                 "Mr.",
                                                 "end.\"",
                                                 "naïve",
                                                 "Ünïcödé",
                                                 "Ελληνικά",
                                                 "日本語。",
                                                 "漢字",
                                                 "😀",
                                                 "e\u0301",
                                                 "co\u00ADoperate",
                                                 "zero\u200Bwidth",
                                                 "\uFEFFbom",
                                                 "hyphen-",
                                                 "-",
                                                 "•",
                                                 "*",
                                                 "—",
                                                 "|",
                                                 "a | b",
                                                 "----",
                                                 "====",
                                                 "```",
                                                 "# Title",
                                                 "## T",
                                                 "Chapter 3",
                                                 ". . . .",
                                                 "longwordlongwordlongwordlongwordlongwordlongword",
                                                 "…",
                                                 ":",
                                                 ";",
                                                 "(",
                                                 ")",
                                                 "”",
                                                 "!",
                                                 "?",
                                                 "."};
  return kPieces[random() % std::size(kPieces)];
}

inline std::string_view RandomSpace(std::mt19937& random) {
  static constexpr std::string_view kSpaces[] = {
      " ",      " ",      " ",  " ",    " ",      " ",      "  ",     "   ",
      "\t",     "\n",     "\n", "\n  ", "\n\n",   " \n \n", "\u00A0", "\u2003",
      "\u2028", "\u3000", "",   "\f",   "\u00AD", "\u200B "};
  return kSpaces[random() % std::size(kSpaces)];
}

// About `pieces` words; pages begin anywhere between characters.
inline RandomText MakeRandomText(std::mt19937& random, int pieces) {
  RandomText made;
  const bool paged = random() % 2 == 0;
  if (paged) made.page_begins.push_back(0);
  for (int i = 0; i < pieces; ++i) {
    made.text += RandomPiece(random);
    if (random() % 200 == 0) made.text += std::string(random() % 200, ' ');
    made.text += RandomSpace(random);
    if (paged && random() % 40 == 0)
      made.page_begins.push_back(static_cast<int64_t>(made.text.size()));
  }
  return made;
}

}  // namespace lectern::documents
