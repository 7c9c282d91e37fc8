#include "engine/cache/tiers/page_codec.h"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <utility>

namespace lectern::cache {
namespace {

static_assert(std::endian::native == std::endian::little, "the stored form is little-endian");

constexpr std::string_view kMagic = "LPAG";
constexpr std::size_t kChecksummedBytes = kManifestBytes - sizeof(Checksum);
// Far above any model; keeps products of stored sizes inside 64 bits.
constexpr uint32_t kMaxDimension = 1U << 20;

Checksum Xxh3(const void* data, std::size_t size) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
  Checksum checksum;
  static_assert(sizeof(canonical.digest) == sizeof(checksum));
  std::memcpy(checksum.data(), canonical.digest, checksum.size());
  return checksum;
}

class Writer {
 public:
  void Bytes(const void* data, std::size_t size) {
    out_.append(static_cast<const char*>(data), size);
  }
  template <typename T>
  void Put(T value) {
    Bytes(&value, sizeof(value));
  }
  void Segment(const SegmentInfo& info) {
    Put(info.length);
    Bytes(info.checksum.data(), info.checksum.size());
  }
  std::string Take() { return std::move(out_); }
  std::string_view view() const { return out_; }

 private:
  std::string out_;
};

// Reads in order from bytes whose number was checked before.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  void Bytes(void* data, std::size_t size) {
    std::memcpy(data, rest_.data(), size);
    rest_.remove_prefix(size);
  }
  template <typename T>
  T Get() {
    T value;
    Bytes(&value, sizeof(value));
    return value;
  }
  SegmentInfo Segment() {
    SegmentInfo info;
    info.length = Get<uint64_t>();
    Bytes(info.checksum.data(), info.checksum.size());
    return info;
  }

 private:
  std::string_view rest_;
};

std::optional<int> Dimension(uint32_t value) {
  if (value > kMaxDimension) return std::nullopt;
  return static_cast<int>(value);
}

std::optional<KvLayout> DecodeLayout(Reader& in) {
  const auto dtype = in.Get<uint8_t>();
  const auto reserved = in.Get<uint8_t>();
  const auto page_size = in.Get<uint32_t>();
  const auto num_layers = Dimension(in.Get<uint32_t>());
  const auto num_full = Dimension(in.Get<uint32_t>());
  const auto latent_row = Dimension(in.Get<uint32_t>());
  const auto index_row = Dimension(in.Get<uint32_t>());
  const auto reserved_word = in.Get<uint32_t>();
  if (dtype > 1 || reserved != 0 || reserved_word != 0 || page_size != kPageSize) return {};
  if (!num_layers || !num_full || !latent_row || !index_row) return {};
  KvLayout layout;
  layout.dtype = dtype == 0 ? KvDtype::kFloat32 : KvDtype::kBfloat16;
  layout.num_layers = *num_layers;
  layout.num_full_layers = *num_full;
  layout.latent_row = *latent_row;
  layout.index_row = *index_row;
  return layout;
}

}  // namespace

std::span<const std::byte> LatentSegment(const KvLayout& layout, std::span<const std::byte> page) {
  return page.first(static_cast<std::size_t>(layout.latent_bytes()));
}

std::span<const std::byte> IndexSegment(const KvLayout& layout, std::span<const std::byte> page) {
  return page.subspan(static_cast<std::size_t>(layout.latent_bytes()),
                      static_cast<std::size_t>(layout.index_bytes()));
}

SegmentInfo DescribeSegment(std::span<const std::byte> segment) {
  return {segment.size(), Xxh3(segment.data(), segment.size())};
}

bool SegmentMatches(const SegmentInfo& info, std::span<const std::byte> segment) {
  return info.length == segment.size() && info.checksum == Xxh3(segment.data(), segment.size());
}

std::string EncodeManifest(const PageManifest& manifest) {
  Writer out;
  out.Bytes(kMagic.data(), kMagic.size());
  out.Put(kPageFormatVersion);
  out.Put(static_cast<uint8_t>(manifest.layout.dtype == KvDtype::kFloat32 ? 0 : 1));
  out.Put(uint8_t{0});
  out.Put(uint32_t{kPageSize});
  out.Put(static_cast<uint32_t>(manifest.layout.num_layers));
  out.Put(static_cast<uint32_t>(manifest.layout.num_full_layers));
  out.Put(static_cast<uint32_t>(manifest.layout.latent_row));
  out.Put(static_cast<uint32_t>(manifest.layout.index_row));
  out.Put(uint32_t{0});
  out.Put(manifest.created_unix_seconds);
  out.Bytes(manifest.identity.key.bytes.data(), manifest.identity.key.bytes.size());
  out.Bytes(manifest.identity.parent.bytes.data(), manifest.identity.parent.bytes.size());
  out.Bytes(manifest.identity.tokens.data(), sizeof(PageTokens));
  out.Segment(manifest.index);
  out.Segment(manifest.latent);
  const Checksum checksum = Xxh3(out.view().data(), out.view().size());
  out.Bytes(checksum.data(), checksum.size());
  return out.Take();
}

std::optional<PageManifest> DecodeManifest(std::string_view bytes) {
  if (bytes.size() != kManifestBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  const Checksum checksum = Xxh3(bytes.data(), kChecksummedBytes);
  if (std::memcmp(bytes.data() + kChecksummedBytes, checksum.data(), checksum.size()) != 0) {
    return std::nullopt;
  }
  Reader in(bytes.substr(kMagic.size()));
  if (in.Get<uint16_t>() != kPageFormatVersion) return std::nullopt;
  const std::optional<KvLayout> layout = DecodeLayout(in);
  if (!layout) return std::nullopt;
  PageManifest manifest;
  manifest.layout = *layout;
  manifest.created_unix_seconds = in.Get<uint64_t>();
  in.Bytes(manifest.identity.key.bytes.data(), manifest.identity.key.bytes.size());
  in.Bytes(manifest.identity.parent.bytes.data(), manifest.identity.parent.bytes.size());
  in.Bytes(manifest.identity.tokens.data(), sizeof(PageTokens));
  manifest.index = in.Segment();
  manifest.latent = in.Segment();
  if (manifest.index.length != static_cast<uint64_t>(layout->index_bytes()) ||
      manifest.latent.length != static_cast<uint64_t>(layout->latent_bytes())) {
    return std::nullopt;
  }
  return manifest;
}

bool SameLayout(const KvLayout& a, const KvLayout& b) {
  return a.dtype == b.dtype && a.num_layers == b.num_layers &&
         a.num_full_layers == b.num_full_layers && a.latent_row == b.latent_row &&
         a.index_row == b.index_row;
}

}  // namespace lectern::cache
