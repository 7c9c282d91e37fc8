#include "kernels/cpu/topk.h"

#include <array>
#include <cstring>

namespace lectern::kernels::cpu {
namespace {

// Unsigned order of the result is the order of the floats; -0 becomes +0 first.
inline uint32_t OrderedBits(float score) {
  const float canonical = score + 0.0F;
  uint32_t bits;
  std::memcpy(&bits, &canonical, sizeof(bits));
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

// Digits from the top: 11, 11 and 10 bits.
constexpr std::array<int, 3> kShift = {21, 10, 0};
constexpr std::array<uint32_t, 3> kDigits = {2048, 2048, 1024};

struct Threshold {
  uint32_t value;      // ordered bits of the k-th highest
  int64_t num_equal;   // how many of that value belong to the k
};

// `candidates` starts as every key; each round keeps those that share the k-th key's digit.
Threshold FindThreshold(uint32_t* candidates, int64_t count, int64_t k) {
  uint32_t value = 0;
  int64_t wanted = k;
  for (size_t round = 0; round < kShift.size(); ++round) {
    std::array<int32_t, 2048> histogram{};
    const int shift = kShift[round];
    const uint32_t mask = kDigits[round] - 1;
    for (int64_t i = 0; i < count; ++i) ++histogram[candidates[i] >> shift & mask];
    uint32_t digit = kDigits[round] - 1;
    while (histogram[digit] < wanted) wanted -= histogram[digit--];
    value |= digit << shift;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t key = candidates[i];
      candidates[kept] = key;
      kept += (key >> shift & mask) == digit ? 1 : 0;
    }
    count = kept;
  }
  return {value, wanted};
}

}  // namespace

int64_t TopkScratchBytes(int64_t size) { return 2 * size * static_cast<int64_t>(sizeof(uint32_t)); }

void SelectTopk(const float* scores, int64_t size, int64_t k, void* scratch, int32_t* out) {
  auto* keys = static_cast<uint32_t*>(scratch);
  uint32_t* candidates = keys + size;
  for (int64_t i = 0; i < size; ++i) keys[i] = OrderedBits(scores[i]);
  std::memcpy(candidates, keys, static_cast<size_t>(size) * sizeof(uint32_t));
  Threshold threshold = FindThreshold(candidates, size, k);
  int64_t taken = 0;
  for (int64_t i = 0; taken < k; ++i) {
    if (keys[i] < threshold.value) continue;
    if (keys[i] == threshold.value && threshold.num_equal-- <= 0) continue;
    out[taken++] = static_cast<int32_t>(i);
  }
}

}  // namespace lectern::kernels::cpu
