#pragma once
// Inputs for the fuzz entries without libFuzzer: a good input, cut at many lengths and changed at
// random. Runs in every build, so that the entries cannot rot and a plain build sees some of the
// faults.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>

namespace lectern::fuzz {

using Entry = std::function<void(const std::string& input)>;

// Calls `entry` with every prefix of `good` up to `max_prefixes` lengths, evenly spread, then with
// `rounds` copies in which one to four bytes are flipped in one bit, replaced, removed or doubled.
inline void RunSeededInputs(const std::string& good, uint64_t seed, int rounds, const Entry& entry,
                            size_t max_prefixes = 2000) {
  const size_t step = good.size() / max_prefixes + 1;
  for (size_t length = 0; length <= good.size(); length += step) entry(good.substr(0, length));
  std::mt19937_64 random(seed);
  for (int round = 0; round < rounds; ++round) {
    std::string input = good;
    for (uint64_t changes = 1 + random() % 4; changes > 0 && !input.empty(); --changes) {
      const size_t at = random() % input.size();
      switch (random() % 4) {
        case 0:
          input[at] = static_cast<char>(input[at] ^ (1 << random() % 8));
          break;
        case 1:
          input[at] = static_cast<char>(random());
          break;
        case 2:
          input.erase(at, 1 + random() % 8);
          break;
        default:
          input.insert(at, input.substr(at, 1 + random() % 8));
      }
    }
    entry(input);
  }
}

}  // namespace lectern::fuzz
