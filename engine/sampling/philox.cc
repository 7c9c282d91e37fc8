#include "engine/sampling/philox.h"

namespace lectern::sampling {
namespace {

// Multipliers and key increments of the paper; 10 rounds is its recommendation.
constexpr uint64_t kMultiplier0 = 0xD2511F53U;
constexpr uint64_t kMultiplier1 = 0xCD9E8D57U;
constexpr uint32_t kKeyStep0 = 0x9E3779B9U;
constexpr uint32_t kKeyStep1 = 0xBB67AE85U;
constexpr int kRounds = 10;

uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }
uint32_t High(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {High(product1) ^ counter[1] ^ key[0], Low(product1),
               High(product0) ^ counter[3] ^ key[1], Low(product0)};
    key[0] += kKeyStep0;
    key[1] += kKeyStep1;
  }
  return counter;
}

double UniformDraw(uint64_t seed, uint64_t index) {
  const std::array<uint32_t, 4> words =
      Philox4x32({Low(index), High(index), 0, 0}, {Low(seed), High(seed)});
  const uint64_t bits = (static_cast<uint64_t>(words[0]) << 32) | words[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace lectern::sampling
