#pragma once
// Names of pages. A page's key is a SHA-256 chain: it says what was computed (namespace), for whom
// (salt), after which text (parent) and over which tokens, so that equal keys mean equal bytes.
// Token ids are compared all the same wherever a page is found: a collision cannot serve another's
// text.

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cache/kv_layout.h"

namespace lectern::cache {

struct PageKey {
  std::array<uint8_t, 32> bytes{};
  auto operator<=>(const PageKey&) const = default;
};

struct PageKeyHash {
  // The key is a digest already: any eight bytes of it are a hash.
  std::size_t operator()(const PageKey& key) const;
};

using PageTokens = std::array<int32_t, kPageSize>;

// What a page claims to be. Two pages are the same when all three agree.
struct PageIdentity {
  PageKey key;
  PageKey parent;
  PageTokens tokens{};
  bool operator==(const PageIdentity&) const = default;
};

// The step of the chain: key of the page with `tokens` [kPageSize] behind `parent`. A parameter of
// PageKeyChain so that tests can force collisions.
using PageHash = std::function<PageKey(const PageKey& parent, std::span<const int32_t> tokens)>;
PageKey Sha256PageHash(const PageKey& parent, std::span<const int32_t> tokens);

// Digest of everything that makes bytes of pages incomparable: model fingerprint, IndexCache
// pattern, numerics_id, prompt-layout version. Parts are hashed with their lengths, in order.
PageKey NamespaceKey(std::initializer_list<std::string_view> parts);

// Parent of the first page of every prompt of one tenant in one namespace.
PageKey RootKey(const PageKey& name_space, std::string_view salt);

// Keys of the whole pages of a growing token sequence. A value; not thread safe.
class PageKeyChain {
 public:
  PageKeyChain() = default;
  explicit PageKeyChain(PageKey root, PageHash hash = Sha256PageHash);

  // Adds the keys of pages that `tokens` (all of them, from the first) fill completely and that are
  // not there yet.
  void Extend(std::span<const int32_t> tokens);

  int64_t num_pages() const { return static_cast<int64_t>(keys_.size()); }
  const PageKey& key(int64_t page) const { return keys_[static_cast<std::size_t>(page)]; }
  const PageKey& parent(int64_t page) const { return page == 0 ? root_ : key(page - 1); }
  // `tokens`: the sequence again, from its first token.
  PageIdentity identity(int64_t page, std::span<const int32_t> tokens) const;

 private:
  PageKey root_;
  PageHash hash_;
  std::vector<PageKey> keys_;
};

// Tokens [page * kPageSize, (page + 1) * kPageSize) of a sequence.
inline std::span<const int32_t> TokensOfPage(std::span<const int32_t> tokens, int64_t page) {
  return tokens.subspan(static_cast<std::size_t>(page) * kPageSize, kPageSize);
}

}  // namespace lectern::cache
