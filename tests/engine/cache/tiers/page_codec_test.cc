#include "engine/cache/tiers/page_codec.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "engine/base/sha256.h"
#include "tests/engine/cache/tiers/page_fixture.h"

namespace lectern::cache {
namespace {

PageManifest TestManifest() {
  const auto page = RandomPage(TestLayout(), 1);
  return {TestLayout(), 1700000000, TestIdentity(3),
          DescribeSegment(IndexSegment(TestLayout(), page)),
          DescribeSegment(LatentSegment(TestLayout(), page))};
}

TEST(PageCodecTest, ManifestsComeBackAsTheyWere) {
  const PageManifest manifest = TestManifest();
  const std::string bytes = EncodeManifest(manifest);
  ASSERT_EQ(bytes.size(), kManifestBytes);
  const auto decoded = DecodeManifest(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_TRUE(SameLayout(decoded->layout, manifest.layout));
  EXPECT_EQ(decoded->created_unix_seconds, 1700000000U);
  EXPECT_EQ(decoded->identity, manifest.identity);
  EXPECT_EQ(decoded->latent.checksum, manifest.latent.checksum);
  EXPECT_EQ(decoded->index.length, manifest.index.length);
}

TEST(PageCodecTest, EveryFlippedBitOfAManifestIsNoticed) {
  const std::string sound = EncodeManifest(TestManifest());
  for (std::size_t bit = 0; bit < 8 * sound.size(); ++bit) {
    std::string bytes = sound;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeManifest(bytes).has_value()) << "bit " << bit;
  }
}

TEST(PageCodecTest, EveryOtherLengthIsRefused) {
  const std::string sound = EncodeManifest(TestManifest());
  for (std::size_t size = 0; size < sound.size(); ++size) {
    EXPECT_FALSE(DecodeManifest(sound.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(DecodeManifest(sound + '\0').has_value());
}

TEST(PageCodecTest, SegmentLengthsMustAgreeWithTheLayout) {
  PageManifest manifest = TestManifest();
  manifest.latent.length -= 2;  // with a valid checksum of its own
  EXPECT_FALSE(DecodeManifest(EncodeManifest(manifest)).has_value());
}

TEST(PageCodecTest, ASegmentMatchesOnlyItsOwnBytes) {
  auto segment = RandomPage(TestLayout(), 2);
  const SegmentInfo info = DescribeSegment(segment);
  EXPECT_TRUE(SegmentMatches(info, segment));
  EXPECT_FALSE(SegmentMatches(info, std::span(segment).first(segment.size() - 1)));
  segment[100] ^= std::byte{4};
  EXPECT_FALSE(SegmentMatches(info, segment));
  EXPECT_TRUE(SegmentMatches(DescribeSegment({}), {}));
}

// A store written by an older build must be readable or refused, never misread. The file holds, in
// hex, the manifest of a page whose byte i is (7 * i + 3) mod 256.
TEST(PageCodecTest, VersionOneEqualsTheGoldenFile) {
  const KvLayout layout = TestLayout();
  std::vector<std::byte> page(static_cast<std::size_t>(layout.page_bytes()));
  for (std::size_t i = 0; i < page.size(); ++i) page[i] = static_cast<std::byte>(7 * i + 3);
  PageIdentity identity;
  identity.key.bytes.fill(0x11);
  identity.parent.bytes.fill(0x22);
  for (int i = 0; i < kPageSize; ++i) identity.tokens[static_cast<std::size_t>(i)] = 1000 + i;
  const std::string bytes =
      EncodeManifest({layout, 1763800000, identity, DescribeSegment(IndexSegment(layout, page)),
                      DescribeSegment(LatentSegment(layout, page))});
  std::ifstream file(LECTERN_SOURCE_DIR "/tests/testdata/page_format/v1.hex");
  std::string golden;
  for (std::string line; file >> line;) golden += line;
  EXPECT_EQ(base::ToHex({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}), golden);
}

}  // namespace
}  // namespace lectern::cache
