#pragma once
// The stored form of a page: a manifest and two segments, each with its own checksum. Byte layout
// and versions: PAGE_FORMAT.md beside this file.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/cache/kv_layout.h"
#include "engine/cache/page_key.h"

namespace lectern::cache {

inline constexpr uint16_t kPageFormatVersion = 1;
inline constexpr std::size_t kManifestBytes = 424;

using Checksum = std::array<uint8_t, 16>;  // XXH3-128, canonical byte order

struct SegmentInfo {
  uint64_t length = 0;
  Checksum checksum{};
};

struct PageManifest {
  KvLayout layout;
  uint64_t created_unix_seconds = 0;
  PageIdentity identity;
  SegmentInfo index;
  SegmentInfo latent;
};

// The page's segments as they lie in memory (kv_layout.h): latent first, then index.
std::span<const std::byte> LatentSegment(const KvLayout& layout, std::span<const std::byte> page);
std::span<const std::byte> IndexSegment(const KvLayout& layout, std::span<const std::byte> page);

SegmentInfo DescribeSegment(std::span<const std::byte> segment);
bool SegmentMatches(const SegmentInfo& info, std::span<const std::byte> segment);

std::string EncodeManifest(const PageManifest& manifest);
// Nothing where a byte is wrong: length, magic, version, checksum, or segment lengths that disagree
// with the layout. Safe on any bytes.
std::optional<PageManifest> DecodeManifest(std::string_view bytes);

bool SameLayout(const KvLayout& a, const KvLayout& b);

}  // namespace lectern::cache
