// Both stores keep one contract; the memory twin's faults do what they say; RocksDB survives a
// kill.

#include "services/state/state_store.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/state/memory_state_store.h"

namespace lectern::state {
namespace {

using ::testing::ElementsAre;

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = ::testing::TempDir() + "state_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<std::string> Keys(const StateStore& store, std::string_view begin, std::string_view end,
                              size_t at_most = 100) {
  std::vector<std::string> keys;
  EXPECT_TRUE(store
                  .Scan(begin, end,
                        [&](std::string_view key, std::string_view) {
                          keys.emplace_back(key);
                          return keys.size() < at_most;
                        })
                  .ok());
  return keys;
}

class StateStoreTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      auto opened = OpenRocksDbStateStore(scratch_.path() + "/a/b");
      ASSERT_TRUE(opened.ok()) << opened.status();
      store_ = std::move(*opened);
    } else {
      store_ = MakeMemoryStateStore();
    }
  }
  ScratchDirectory scratch_;
  std::unique_ptr<StateStore> store_;
};

TEST_P(StateStoreTest, WritesReadsAndDeletes) {
  const std::string binary("\0\xFF\n", 3);
  ASSERT_TRUE(store_->Write({{"a", "1"}, {"b", binary}}, Durability::kLogged).ok());
  EXPECT_EQ(*store_->Get("a"), "1");
  EXPECT_EQ(*store_->Get("b"), binary);
  ASSERT_TRUE(store_->Write({{"a", std::nullopt}, {"c", ""}}, Durability::kSynced).ok());
  EXPECT_EQ(store_->Get("a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*store_->Get("c"), "");
}

TEST_P(StateStoreTest, LaterMutationsOfOneWriteWin) {
  ASSERT_TRUE(
      store_->Write({{"k", "1"}, {"k", std::nullopt}, {"k", "2"}}, Durability::kLogged).ok());
  EXPECT_EQ(*store_->Get("k"), "2");
}

TEST_P(StateStoreTest, ScansInOrderWithinBounds) {
  ASSERT_TRUE(store_
                  ->Write({{"p/2", ""}, {"p/1", ""}, {"q", ""}, {"p/\xFF", ""}, {"o", ""}},
                          Durability::kLogged)
                  .ok());
  EXPECT_THAT(Keys(*store_, "p/", PrefixEnd("p/")), ElementsAre("p/1", "p/2", "p/\xFF"));
  EXPECT_THAT(Keys(*store_, "p/2", ""), ElementsAre("p/2", "p/\xFF", "q"));
  EXPECT_THAT(Keys(*store_, "p/", PrefixEnd("p/"), 2), ElementsAre("p/1", "p/2"));
  EXPECT_THAT(Keys(*store_, "x", "y"), ElementsAre());
}

TEST_P(StateStoreTest, ScanMayCallTheStore) {
  ASSERT_TRUE(store_->Write({{"a", "1"}, {"b", "2"}}, Durability::kLogged).ok());
  int seen = 0;
  ASSERT_TRUE(
      store_
          ->Scan("", "",
                 [&](std::string_view key, std::string_view value) {
                   EXPECT_EQ(*store_->Get(key), value);
                   EXPECT_TRUE(
                       store_->Write({{std::string(key), std::nullopt}}, Durability::kLogged).ok());
                   ++seen;
                   return true;
                 })
          .ok());
  EXPECT_EQ(seen, 2);
  EXPECT_THAT(Keys(*store_, "", ""), ElementsAre());
}

INSTANTIATE_TEST_SUITE_P(Stores, StateStoreTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "RocksDb" : "Memory"; });

TEST(PrefixEndTest, IsTheNextPrefix) {
  EXPECT_EQ(PrefixEnd("abc"), "abd");
  EXPECT_EQ(PrefixEnd("a\xFF\xFF"), "b");
  EXPECT_EQ(PrefixEnd("\xFF"), "");
  EXPECT_EQ(PrefixEnd(""), "");
}

TEST(MemoryStateStoreTest, FailsWritesOnDemandAndChangesNothing) {
  MemoryStateStore store;
  store.FailWrites(absl::ResourceExhaustedError("disk full"), 1);
  EXPECT_TRUE(store.Write({{"a", "1"}}, Durability::kLogged).ok());
  EXPECT_EQ(store.Write({{"a", "2"}}, Durability::kLogged).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(store.Write({{"a", "3"}}, Durability::kSynced).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*store.Get("a"), "1");
  store.FailWrites(absl::OkStatus());
  EXPECT_TRUE(store.Write({{"a", "4"}}, Durability::kLogged).ok());
}

TEST(MemoryStateStoreTest, PowerLossKeepsWhatWasSynced) {
  MemoryStateStore store;
  ASSERT_TRUE(store.Write({{"a", "1"}}, Durability::kLogged).ok());
  ASSERT_TRUE(store.Write({{"b", "2"}}, Durability::kSynced).ok());
  ASSERT_TRUE(store.Write({{"b", std::nullopt}, {"c", "3"}}, Durability::kLogged).ok());
  store.LosePower();
  EXPECT_EQ(*store.Get("a"), "1");
  EXPECT_EQ(*store.Get("b"), "2");
  EXPECT_FALSE(store.Get("c").ok());
}

TEST(RocksDbStateStoreTest, SurvivesReopening) {
  ScratchDirectory scratch;
  for (int i = 0; i < 3; ++i) {
    auto store = OpenRocksDbStateStore(scratch.path());
    ASSERT_TRUE(store.ok()) << store.status();
    for (int j = 0; j < i; ++j) EXPECT_EQ(*(*store)->Get(std::to_string(j)), "x");
    ASSERT_TRUE((*store)->Write({{std::to_string(i), "x"}}, Durability::kLogged).ok());
  }
}

TEST(RocksDbStateStoreTest, RefusesASecondHolder) {
  ScratchDirectory scratch;
  auto first = OpenRocksDbStateStore(scratch.path());
  ASSERT_TRUE(first.ok());
  auto second = OpenRocksDbStateStore(scratch.path());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
}

TEST(RocksDbStateStoreTest, RefusesADirectoryThatCannotBe) {
  ScratchDirectory scratch;
  std::ofstream(scratch.path() + "/file") << "x";
  auto store = OpenRocksDbStateStore(scratch.path() + "/file/state");
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition) << store.status();
}

TEST(RocksDbStateStoreTest, ReportsADamagedStore) {
  ScratchDirectory scratch;
  ASSERT_TRUE(
      (*OpenRocksDbStateStore(scratch.path()))->Write({{"a", "1"}}, Durability::kSynced).ok());
  std::ofstream(scratch.path() + "/CURRENT") << "nonsense\n";
  auto store = OpenRocksDbStateStore(scratch.path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
}

// A small file system of its own, where this process may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& directory) : directory_(directory) {
    mounted_ = mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=160m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(directory_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  std::string directory_;
  bool mounted_;
};

TEST(RocksDbStateStoreTest, AFullDiskIsTypedAndPasses) {
  ScratchDirectory scratch;
  SmallDisk disk(scratch.path());
  if (!disk.mounted()) GTEST_SKIP() << "may not mount a small file system here";
  std::ofstream(scratch.path() + "/filler") << std::string(48 << 20, 'x');
  auto store = OpenRocksDbStateStore(scratch.path() + "/state");
  ASSERT_TRUE(store.ok()) << store.status();
  absl::Status written;
  int acknowledged = 0;
  std::mt19937 random(1);
  for (; acknowledged < 2000; ++acknowledged) {
    std::string value(64 << 10, '\0');  // that does not compress
    for (char& byte : value) byte = static_cast<char>(random());
    written = (*store)->Write({{std::to_string(acknowledged), value}}, Durability::kSynced);
    if (!written.ok()) break;
  }
  EXPECT_EQ(written.code(), absl::StatusCode::kResourceExhausted) << written;
  ASSERT_GT(acknowledged, 10);
  EXPECT_TRUE((*store)->Get("0").ok()) << "reading goes on";
  std::filesystem::remove(scratch.path() + "/filler");
  written = (*store)->Write({{"after", "v"}}, Durability::kSynced);
  EXPECT_TRUE(written.ok()) << written;
  store->reset();
  store = OpenRocksDbStateStore(scratch.path() + "/state");
  ASSERT_TRUE(store.ok()) << store.status();
  for (int i = 0; i < acknowledged; ++i) EXPECT_TRUE((*store)->Get(std::to_string(i)).ok()) << i;
  EXPECT_EQ(*(*store)->Get("after"), "v");
}

// Runs in the child of the kill test: acknowledges each write on `acknowledge` after it returned.
[[noreturn]] void WriteForEver(const std::string& directory, int acknowledge) {
  auto store = OpenRocksDbStateStore(directory);
  if (!store.ok()) _exit(1);
  for (uint32_t i = 0;; ++i) {
    const auto durability = i % 8 == 0 ? Durability::kSynced : Durability::kLogged;
    const std::string key = std::to_string(i);
    if (!(*store)->Write({{"first/" + key, "x"}, {"second/" + key, "y"}}, durability).ok())
      _exit(2);
    if (write(acknowledge, &i, sizeof(i)) != sizeof(i)) _exit(3);
  }
}

TEST(RocksDbStateStoreTest, LosesNothingAcknowledgedToAKill) {
  for (int round = 0; round < 3; ++round) {
    ScratchDirectory scratch;
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) WriteForEver(scratch.path(), fds[1]);
    close(fds[1]);
    uint32_t last = 0;
    bool any = false;
    for (int i = 0; i < 200 + 37 * round && read(fds[0], &last, sizeof(last)) == sizeof(last); ++i)
      any = true;
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    waitpid(child, &status, 0);
    while (read(fds[0], &last, sizeof(last)) == sizeof(last)) {
    }
    close(fds[0]);
    ASSERT_TRUE(any);
    ASSERT_TRUE(WIFSIGNALED(status));
    auto store = OpenRocksDbStateStore(scratch.path());
    ASSERT_TRUE(store.ok()) << store.status();
    for (uint32_t i = 0; i <= last; ++i) {
      ASSERT_TRUE((*store)->Get("first/" + std::to_string(i)).ok()) << i << " of " << last;
      ASSERT_TRUE((*store)->Get("second/" + std::to_string(i)).ok()) << i << " of " << last;
    }
  }
}

}  // namespace
}  // namespace lectern::state
