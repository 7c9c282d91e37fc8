#include "engine/tokenizer/word_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace lectern::tokenizer {
namespace {

constexpr size_t kMinEntries = 16;
constexpr size_t kMaxEntries = 16 * 1024;  // 384 KiB: stays in the second-level cache
constexpr size_t kBytesPerEntry = 16;      // about three words of natural text

uint64_t HashWord(std::string_view word) {
  uint64_t hash = word.size();
  const auto mix = [&hash](uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 32;
  };
  while (word.size() >= 8) {
    uint64_t value = 0;
    std::memcpy(&value, word.data(), 8);
    mix(value);
    word.remove_prefix(8);
  }
  uint64_t rest = 0;
  if (!word.empty()) std::memcpy(&rest, word.data(), word.size());
  mix(rest);
  return hash;
}

}  // namespace

WordCache::WordCache(size_t text_bytes)
    : entries_(std::bit_ceil(std::clamp(text_bytes / kBytesPerEntry, kMinEntries, kMaxEntries))) {}

bool WordCache::AppendKnown(std::string_view word, std::vector<int32_t>& ids) {
  last_slot_ = HashWord(word) & (entries_.size() - 1);
  const Entry& entry = entries_[last_slot_];
  if (entry.word_bytes != word.size() || entry.word == nullptr ||
      std::memcmp(entry.word, word.data(), word.size()) != 0) {
    return false;
  }
  // By index: the vector may move while it grows.
  for (size_t i = 0; i < entry.num_ids; ++i) ids.push_back(ids[entry.first_id + i]);
  return true;
}

void WordCache::Remember(std::string_view word, const std::vector<int32_t>& ids, size_t begin) {
  entries_[last_slot_] = {word.data(), begin, static_cast<uint32_t>(word.size()),
                          static_cast<uint32_t>(ids.size() - begin)};
}

}  // namespace lectern::tokenizer
