#pragma once
// Remembers the tokens of words already met in one text. Entries point into that text and into the
// ids produced so far, so that nothing is copied and the memory is bounded whatever the text.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lectern::tokenizer {

// Direct mapped: a newer word takes the slot of an older one. Not thread safe; lives as long as one
// call of Encode.
class WordCache {
 public:
  static constexpr size_t kMaxWordBytes = 32;

  // `text_bytes`: size of the text to come; a short one gets a small table.
  explicit WordCache(size_t text_bytes);

  // Appends the tokens of `word` to `ids` if an equal word was remembered.
  bool AppendKnown(std::string_view word, std::vector<int32_t>& ids);

  // The ids from `begin` to the end are the tokens of `word`, which AppendKnown has just missed.
  // `word` must stay where it is for the life of the cache.
  void Remember(std::string_view word, const std::vector<int32_t>& ids, size_t begin);

 private:
  struct Entry {
    const char* word = nullptr;
    size_t first_id = 0;
    uint32_t word_bytes = 0;
    uint32_t num_ids = 0;
  };

  std::vector<Entry> entries_;
  size_t last_slot_ = 0;
};

}  // namespace lectern::tokenizer
