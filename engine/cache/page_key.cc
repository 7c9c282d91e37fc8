#include "engine/cache/page_key.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/sha256.h"

namespace lectern::cache {
namespace {

static_assert(std::endian::native == std::endian::little, "keys hash token ids as little-endian");

void UpdateSized(base::Sha256& hash, std::string_view text) {
  const uint64_t size = text.size();
  hash.Update(std::as_bytes(std::span(&size, 1)));
  hash.Update(text);
}

}  // namespace

std::size_t PageKeyHash::operator()(const PageKey& key) const {
  std::size_t value = 0;
  std::memcpy(&value, key.bytes.data(), sizeof(value));
  return value;
}

PageKey Sha256PageHash(const PageKey& parent, std::span<const int32_t> tokens) {
  LECTERN_CHECK(tokens.size() == kPageSize);
  base::Sha256 hash;
  hash.Update(std::as_bytes(std::span(parent.bytes)));
  hash.Update(std::as_bytes(tokens));
  return {hash.Finish()};
}

PageKey NamespaceKey(std::initializer_list<std::string_view> parts) {
  base::Sha256 hash;
  UpdateSized(hash, "lectern page namespace 1");
  for (const std::string_view part : parts) UpdateSized(hash, part);
  return {hash.Finish()};
}

PageKey RootKey(const PageKey& name_space, std::string_view salt) {
  base::Sha256 hash;
  UpdateSized(hash, "lectern page root 1");
  hash.Update(std::as_bytes(std::span(name_space.bytes)));
  UpdateSized(hash, salt);
  return {hash.Finish()};
}

PageKeyChain::PageKeyChain(PageKey root, PageHash hash) : root_(root), hash_(std::move(hash)) {}

void PageKeyChain::Extend(std::span<const int32_t> tokens) {
  const auto whole = static_cast<int64_t>(tokens.size()) / kPageSize;
  while (num_pages() < whole) {
    const int64_t page = num_pages();
    keys_.push_back(hash_(parent(page), TokensOfPage(tokens, page)));
  }
}

PageIdentity PageKeyChain::identity(int64_t page, std::span<const int32_t> tokens) const {
  PageIdentity identity{key(page), parent(page), {}};
  std::ranges::copy(TokensOfPage(tokens, page), identity.tokens.begin());
  return identity;
}

}  // namespace lectern::cache
