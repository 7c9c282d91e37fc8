#pragma once
// Small pages with random contents, and a directory that goes away with the test.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/cache/block_pool.h"
#include "engine/cache/page_key.h"

namespace lectern::cache {

// `index` stays under the blob threshold, `latent` goes above it: both paths of the store are used.
inline KvLayout TestLayout() {
  KvLayout layout;
  layout.num_layers = 3;
  layout.num_full_layers = 1;
  layout.latent_row = 24;
  layout.index_row = 8;
  return layout;
}

inline std::vector<std::byte> RandomPage(const KvLayout& layout, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::vector<std::byte> page(static_cast<std::size_t>(layout.page_bytes()));
  std::ranges::generate(page, [&] { return static_cast<std::byte>(rng()); });
  return page;
}

// The identity of page `number` of some text: keys are real digests of the tokens.
inline PageIdentity TestIdentity(int number) {
  std::vector<int32_t> tokens(kPageSize, number);
  PageKeyChain chain{PageKey{}};
  chain.Extend(tokens);
  return chain.identity(0, tokens);
}

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lectern_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace lectern::cache
