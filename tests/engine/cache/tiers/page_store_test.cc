#include "engine/cache/tiers/page_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "tests/engine/cache/tiers/page_fixture.h"
#include "tests/engine/cache/tiers/stored_values.h"

namespace lectern::cache {
namespace {

class PageStoreTest : public testing::Test {
 protected:
  PageStoreTest() : directory_(scratch_ / "pages") {}

  std::unique_ptr<PageStore> Open() {
    auto store = PageStore::Open({directory_});
    EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error().message);
    return std::move(*store);
  }

  // Writes pages 0..count-1 and closes the store.
  void WritePages(int count) {
    const auto store = Open();
    for (int i = 0; i < count; ++i) {
      ASSERT_FALSE(store->Put(TestIdentity(i), TestLayout(), RandomPage(TestLayout(), Seed(i)), 1));
    }
    ASSERT_FALSE(store->Flush());
  }

  LoadOutcome Read(PageStore& store, int number) {
    return store.Get(TestIdentity(number), TestLayout(), buffer_);
  }
  bool Right(int number) { return buffer_ == RandomPage(TestLayout(), Seed(number)); }

  // Changes the stored value `prefix` of a page behind the store's back.
  void Tamper(char prefix, int number, const std::function<void(std::string&)>& change) {
    const PageKey key = TestIdentity(number).key;
    ChangeStored(directory_, prefix + std::string(key.bytes.begin(), key.bytes.end()), change);
  }

  static uint64_t Seed(int number) { return 100 + static_cast<uint64_t>(number); }

  ScratchDirectory scratch_;
  const std::string directory_;
  std::vector<std::byte> buffer_ =
      std::vector<std::byte>(static_cast<std::size_t>(TestLayout().page_bytes()));
};

TEST_F(PageStoreTest, PagesSurviveReopening) {
  WritePages(3);
  const auto store = Open();
  int64_t bytes = 0;
  EXPECT_EQ(store->ForEach([&](const PageStore::Entry& entry) { bytes += entry.bytes; }), 0);
  EXPECT_EQ(bytes, 3 * StoredPageBytes(TestLayout()));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Read(*store, i), LoadOutcome::kLoaded);
    EXPECT_TRUE(Right(i));
  }
  EXPECT_EQ(Read(*store, 3), LoadOutcome::kMissing);
}

TEST_F(PageStoreTest, ADeletedPageIsGoneWhole) {
  WritePages(1);
  const auto store = Open();
  EXPECT_FALSE(store->Delete(TestIdentity(0).key));
  EXPECT_EQ(Read(*store, 0), LoadOutcome::kMissing);
  const StoreReport report = store->Verify(false);
  EXPECT_EQ(report.pages + report.damaged + report.orphans, 0);
}

TEST_F(PageStoreTest, AnotherTextUnderTheSameKeyIsACollisionAndStays) {
  WritePages(1);
  const auto store = Open();
  PageIdentity forced = TestIdentity(0);
  forced.tokens[5] += 1;
  EXPECT_EQ(store->Get(forced, TestLayout(), buffer_), LoadOutcome::kCollision);
  EXPECT_EQ(Read(*store, 0), LoadOutcome::kLoaded);
}

TEST_F(PageStoreTest, APageOfAnotherLayoutIsNotServed) {
  WritePages(1);
  const auto store = Open();
  KvLayout other = TestLayout();
  other.dtype = KvDtype::kFloat32;
  buffer_.resize(static_cast<std::size_t>(other.page_bytes()));
  EXPECT_EQ(store->Get(TestIdentity(0), other, buffer_), LoadOutcome::kCorrupt);
}

struct Damage {
  const char* name;
  char prefix;
  std::function<void(std::string&)> change;
};

class DamagedPageTest : public PageStoreTest, public testing::WithParamInterface<Damage> {};

TEST_P(DamagedPageTest, IsAMissAndIsDeletedAndItsNeighboursStay) {
  WritePages(3);
  Tamper(GetParam().prefix, 1, GetParam().change);
  {
    const StoreReport report = Open()->Verify(false);
    EXPECT_EQ(report.pages, 2);
    EXPECT_EQ(report.damaged + report.orphans, GetParam().prefix == 'm' && report.orphans ? 2 : 1);
  }
  const auto store = Open();
  EXPECT_NE(Read(*store, 1), LoadOutcome::kLoaded);
  EXPECT_EQ(Read(*store, 1), LoadOutcome::kMissing);  // deleted by the first read, or never listed
  for (const int neighbour : {0, 2}) {
    EXPECT_EQ(Read(*store, neighbour), LoadOutcome::kLoaded);
    EXPECT_TRUE(Right(neighbour));
  }
  store->Verify(true);
  const StoreReport repaired = store->Verify(false);
  EXPECT_EQ(repaired.pages, 2);
  EXPECT_EQ(repaired.damaged + repaired.orphans, 0);
}

void FlipMiddleBit(std::string& value) { value[value.size() / 2] ^= 0x10; }
void CutTail(std::string& value) { value.resize(value.size() - 3); }
void Remove(std::string& value) { value.clear(); }

INSTANTIATE_TEST_SUITE_P(
    EveryPart, DamagedPageTest,
    testing::Values(Damage{"IndexBit", 'i', FlipMiddleBit}, Damage{"LatentBit", 'l', FlipMiddleBit},
                    Damage{"ManifestBit", 'm', FlipMiddleBit}, Damage{"IndexShort", 'i', CutTail},
                    Damage{"LatentShort", 'l', CutTail}, Damage{"ManifestShort", 'm', CutTail},
                    Damage{"IndexMissing", 'i', Remove}, Damage{"LatentMissing", 'l', Remove},
                    Damage{"ManifestMissing", 'm', Remove}),
    [](const auto& info) { return info.param.name; });

TEST_F(PageStoreTest, OpeningDropsPagesWithDamagedManifests) {
  WritePages(3);
  Tamper('m', 2, FlipMiddleBit);
  const auto store = Open();
  int64_t sound = 0;
  EXPECT_EQ(store->ForEach([&](const PageStore::Entry&) { ++sound; }), 1);
  EXPECT_EQ(sound, 2);
  EXPECT_EQ(Read(*store, 2), LoadOutcome::kMissing);
}

// Bits flipped in the files themselves. RocksDB's checksum of blobs is off, so ours must notice.
TEST_F(PageStoreTest, FlippedBitsInDataFilesNeverYieldWrongBytes) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  constexpr int kPages = 20;
  int damaged = 0;
  for (int round = 0; round < 8; ++round) {
    std::filesystem::remove_all(directory_);
    WritePages(kPages);
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (entry.path().extension() != ".blob" && entry.path().extension() != ".sst") continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      // Not the last kilobyte: a damaged footer is another fault, of the whole file.
      const auto at = static_cast<std::streamoff>(rng() % (entry.file_size() - 1024));
      file.seekg(at);
      const int byte = file.get();
      file.seekp(at);
      file.put(static_cast<char>(byte ^ (1 << (rng() % 8))));
    }
    auto store = PageStore::Open({directory_});
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < kPages; ++i) {
      if (Read(**store, i) == LoadOutcome::kLoaded) {
        ASSERT_TRUE(Right(i)) << "round " << round << " page " << i;
      } else {
        ++damaged;
      }
    }
  }
  EXPECT_GT(damaged, 0);
}

TEST_F(PageStoreTest, AStoreThatCannotBeOpenedIsMovedAsideAndANewOneBegins) {
  WritePages(2);
  std::ofstream(directory_ + "/CURRENT", std::ios::trunc) << "MANIFEST-999999\n";
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.path().filename().string().starts_with("MANIFEST")) {
      std::ofstream(entry.path(), std::ios::trunc) << "not a manifest";
      std::ofstream(directory_ + "/CURRENT", std::ios::trunc)
          << entry.path().filename().string() << "\n";
    }
  }
  const auto store = Open();
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(Read(*store, 0), LoadOutcome::kMissing);
  EXPECT_FALSE(store->Put(TestIdentity(0), TestLayout(), RandomPage(TestLayout(), Seed(0)), 1));
  EXPECT_EQ(Read(*store, 0), LoadOutcome::kLoaded);
  EXPECT_TRUE(std::filesystem::exists(directory_ + ".corrupt"));
}

TEST_F(PageStoreTest, ADirectoryThatCannotBeMadeIsAnError) {
  std::ofstream(scratch_ / "file") << "in the way";
  const auto store = PageStore::Open({scratch_ / "file/pages"});
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, base::Code::kUnavailable);
  EXPECT_NE(store.error().message.find("file/pages"), std::string::npos);
}

TEST_F(PageStoreTest, OneProcessHoldsAStore) {
  const auto first = Open();
  const auto second = PageStore::Open({directory_});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, base::Code::kUnavailable);
}

}  // namespace
}  // namespace lectern::cache
