#include "engine/cache/tiers/page_store.h"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/cache/tiers/page_codec.h"

namespace lectern::cache {
namespace {

constexpr char kManifestPrefix = 'm';
constexpr char kIndexPrefix = 'i';
constexpr char kLatentPrefix = 'l';
constexpr std::size_t kMaxProblems = 100;
constexpr std::size_t kStoredKeyBytes = 1 + sizeof(PageKey::bytes);

std::string StoredKey(char prefix, const PageKey& key) {
  std::string stored(1, prefix);
  stored.append(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
  return stored;
}

std::optional<PageKey> ParseStoredKey(const rocksdb::Slice& stored) {
  if (stored.size() != kStoredKeyBytes) return std::nullopt;
  PageKey key;
  std::memcpy(key.bytes.data(), stored.data() + 1, key.bytes.size());
  return key;
}

rocksdb::Slice ToSlice(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> ToSpan(const rocksdb::Slice& slice) {
  return std::as_bytes(std::span(slice.data(), slice.size()));
}

std::optional<base::Error> ToError(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return std::nullopt;
  const base::Code code = status.IsCorruption() ? base::Code::kDataLoss : base::Code::kUnavailable;
  return base::Error{code, "page store: " + std::string(what) + ": " + status.ToString()};
}

rocksdb::Options StoreOptions(rocksdb::Env* env) {
  rocksdb::Options options;
  if (env != nullptr) options.env = env;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;  // KV rows do not compress
  options.write_buffer_size = 64 << 20;
  options.max_write_buffer_number = 4;
  options.bytes_per_sync = 1 << 20;
  options.enable_blob_files = true;
  options.min_blob_size = 4096;  // manifests stay in the tree
  options.blob_file_size = 256 << 20;
  options.enable_blob_garbage_collection = true;
  // Eviction goes by age, so garbage gathers in the older half of the blob files.
  options.blob_garbage_collection_age_cutoff = 0.5;
  options.blob_garbage_collection_force_threshold = 0.5;
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  options.keep_log_file_num = 4;
  rocksdb::BlockBasedTableOptions table;
  // For index, filter and manifest blocks only: pages themselves are never cached here.
  table.block_cache = rocksdb::NewLRUCache(16 << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::ReadOptions SegmentReadOptions() {
  rocksdb::ReadOptions options;
  options.verify_checksums =
      false;  // CRC32C in software halves the rate; XXH3-128 is checked instead
  options.fill_cache = false;
  return options;
}

// Manifests are small: RocksDB's own checksum costs nothing there.
rocksdb::ReadOptions ManifestReadOptions() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  return options;
}

rocksdb::ReadOptions OptionsFor(char prefix) {
  return prefix == kManifestPrefix ? ManifestReadOptions() : SegmentReadOptions();
}

class RocksdbPageStore final : public PageStore {
 public:
  explicit RocksdbPageStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {
    write_options_.disableWAL = true;
  }

  std::optional<base::Error> Put(const PageIdentity& identity, const KvLayout& layout,
                                 std::span<const std::byte> page,
                                 uint64_t created_unix_seconds) override {
    LECTERN_CHECK(page.size() == static_cast<std::size_t>(layout.page_bytes()));
    const auto index = IndexSegment(layout, page);
    const auto latent = LatentSegment(layout, page);
    const std::string manifest = EncodeManifest(
        {layout, created_unix_seconds, identity, DescribeSegment(index), DescribeSegment(latent)});
    rocksdb::WriteBatch batch;
    batch.Put(StoredKey(kIndexPrefix, identity.key), ToSlice(index));
    batch.Put(StoredKey(kLatentPrefix, identity.key), ToSlice(latent));
    batch.Put(StoredKey(kManifestPrefix, identity.key), manifest);
    return ToError(db_->Write(write_options_, &batch), "put");
  }

  LoadOutcome Get(const PageIdentity& identity, const KvLayout& layout,
                  std::span<std::byte> page) override {
    LECTERN_CHECK(page.size() == static_cast<std::size_t>(layout.page_bytes()));
    rocksdb::PinnableSlice bytes;
    const rocksdb::Status status = Read(StoredKey(kManifestPrefix, identity.key), &bytes);
    if (status.IsNotFound()) return LoadOutcome::kMissing;
    if (!status.ok()) return Damaged(identity.key, status);
    const auto manifest = DecodeManifest({bytes.data(), bytes.size()});
    if (!manifest || manifest->identity.key != identity.key) {
      return Damaged(identity.key, rocksdb::Status::Corruption());
    }
    if (manifest->identity != identity) return LoadOutcome::kCollision;
    if (!SameLayout(manifest->layout, layout)) {
      return Damaged(identity.key, rocksdb::Status::Corruption());
    }
    const auto latent_bytes = static_cast<std::size_t>(layout.latent_bytes());
    for (const auto& [prefix, info, into] :
         {std::tuple{kIndexPrefix, manifest->index, page.subspan(latent_bytes)},
          std::tuple{kLatentPrefix, manifest->latent, page.first(latent_bytes)}}) {
      const rocksdb::Status read = Read(StoredKey(prefix, identity.key), &bytes);
      if (!read.ok()) return Damaged(identity.key, read);
      if (!SegmentMatches(info, ToSpan(bytes))) {
        return Damaged(identity.key, rocksdb::Status::Corruption());
      }
      if (!into.empty()) std::memcpy(into.data(), bytes.data(), bytes.size());
    }
    return LoadOutcome::kLoaded;
  }

  std::optional<base::Error> Delete(const PageKey& key) override {
    rocksdb::WriteBatch batch;
    for (const char prefix : {kManifestPrefix, kIndexPrefix, kLatentPrefix}) {
      batch.Delete(StoredKey(prefix, key));
    }
    return ToError(db_->Write(write_options_, &batch), "delete");
  }

  int64_t ForEach(const std::function<void(const Entry&)>& visit) override {
    std::vector<std::string> damaged;
    ForEachStored(kManifestPrefix, [&](const rocksdb::Slice& stored_key, std::string_view value) {
      const auto key = ParseStoredKey(stored_key);
      const auto manifest = DecodeManifest(value);
      if (key && manifest && manifest->identity.key == *key) {
        visit({*key, StoredPageBytes(manifest->layout), manifest->created_unix_seconds});
      } else {
        damaged.push_back(stored_key.ToString());
      }
    });
    for (const std::string& stored_key : damaged) DeleteStored(stored_key);
    return static_cast<int64_t>(damaged.size());
  }

  StoreReport Verify(bool repair) override {
    StoreReport report;
    std::vector<std::string> strays;
    ForEachStored(kManifestPrefix, [&](const rocksdb::Slice& stored_key, std::string_view value) {
      const auto key = ParseStoredKey(stored_key);
      const auto manifest = DecodeManifest(value);
      const std::string_view problem = Examine(key, manifest);
      if (problem.empty()) {
        ++report.pages;
        report.bytes += StoredPageBytes(manifest->layout);
        return;
      }
      ++report.damaged;
      AddProblem(stored_key, problem, report);
      strays.push_back(stored_key.ToString());
      if (key) report.damaged_keys.push_back(*key);
    });
    for (const char prefix : {kIndexPrefix, kLatentPrefix}) FindOrphans(prefix, report, strays);
    if (repair) {
      for (const std::string& stored_key : strays) DeleteStored(stored_key);
    }
    return report;
  }

  std::optional<base::Error> Flush() override {
    return ToError(db_->Flush(rocksdb::FlushOptions()), "flush");
  }

  void Compact() override {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    if (const auto error = ToError(db_->CompactRange(options, nullptr, nullptr), "compact")) {
      base::Log(base::LogLevel::kWarning, "cache", error->message);
    }
  }

  std::optional<base::Error> Resume() override { return ToError(db_->Resume(), "resume"); }

 private:
  rocksdb::Status Read(const std::string& key, rocksdb::PinnableSlice* value) {
    value->Reset();
    return db_->Get(OptionsFor(key[0]), db_->DefaultColumnFamily(), key, value);
  }

  // A disk that fails to read says nothing about the page: it stays. All else cannot get better.
  LoadOutcome Damaged(const PageKey& key, const rocksdb::Status& status) {
    if (status.IsIOError() || status.IsTimedOut() || status.IsBusy()) return LoadOutcome::kIoError;
    Delete(key);
    return LoadOutcome::kCorrupt;
  }

  bool SegmentSound(char prefix, const PageKey& key, const SegmentInfo& info) {
    rocksdb::PinnableSlice bytes;
    return Read(StoredKey(prefix, key), &bytes).ok() && SegmentMatches(info, ToSpan(bytes));
  }

  // What is wrong with a page; empty: nothing.
  std::string_view Examine(const std::optional<PageKey>& key,
                           const std::optional<PageManifest>& manifest) {
    if (!key || !manifest) return "manifest damaged";
    if (manifest->identity.key != *key) return "manifest of another page";
    if (!SegmentSound(kIndexPrefix, *key, manifest->index)) {
      return "segment index missing or damaged";
    }
    if (!SegmentSound(kLatentPrefix, *key, manifest->latent)) {
      return "segment latent missing or damaged";
    }
    return {};
  }

  static void AddProblem(const rocksdb::Slice& stored_key, std::string_view problem,
                         StoreReport& report) {
    if (report.problems.size() >= kMaxProblems) return;
    const rocksdb::Slice key(stored_key.data() + 1, stored_key.size() - 1);
    report.problems.push_back("page " + key.ToString(/*hex=*/true) + ": " + std::string(problem));
  }

  template <typename Visit>
  void ForEachStored(char prefix, const Visit& visit) {
    const std::string begin(1, prefix);
    const std::string end(1, static_cast<char>(prefix + 1));
    rocksdb::ReadOptions options = OptionsFor(prefix);
    const rocksdb::Slice upper(end);
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(begin); it->Valid(); it->Next()) {
      visit(it->key(), std::string_view(it->value().data(), it->value().size()));
    }
    if (const auto error = ToError(it->status(), "walk")) {
      base::Log(base::LogLevel::kWarning, "cache", error->message);
    }
  }

  void FindOrphans(char prefix, StoreReport& report, std::vector<std::string>& strays) {
    ForEachStored(prefix, [&](const rocksdb::Slice& stored_key, std::string_view) {
      std::string manifest_key = stored_key.ToString();
      manifest_key[0] = kManifestPrefix;
      rocksdb::PinnableSlice bytes;
      if (!Read(manifest_key, &bytes).IsNotFound()) return;
      ++report.orphans;
      AddProblem(stored_key, "segment without a manifest", report);
      strays.push_back(stored_key.ToString());
    });
  }

  // All three keys where `stored_key` is one of a page's, else the stray key alone.
  void DeleteStored(const std::string& stored_key) {
    if (const auto key = ParseStoredKey(stored_key)) {
      Delete(*key);
    } else {
      db_->Delete(write_options_, stored_key);
    }
  }

  const std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions write_options_;
};

void MoveAside(const std::string& directory) {
  const std::string aside = directory + ".corrupt";
  std::error_code ignored;
  std::filesystem::remove_all(aside, ignored);  // of an earlier accident
  std::filesystem::rename(directory, aside, ignored);
  base::Log(base::LogLevel::kError, "cache", "damaged page store moved to " + aside);
}

}  // namespace

base::Expected<std::unique_ptr<PageStore>> PageStore::Open(const PageStoreOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  if (error) {
    return base::Error{base::Code::kUnavailable,
                       "page store: cannot create " + options.directory + ": " + error.message()};
  }
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(StoreOptions(options.env), options.directory, &db);
  if (status.IsCorruption()) {
    base::Log(base::LogLevel::kError, "cache", options.directory + ": " + status.ToString());
    MoveAside(options.directory);
    status = rocksdb::DB::Open(StoreOptions(options.env), options.directory, &db);
  }
  if (const auto failed = ToError(status, "open " + options.directory)) return *failed;
  return std::unique_ptr<PageStore>(
      std::make_unique<RocksdbPageStore>(std::unique_ptr<rocksdb::DB>(db)));
}

int64_t StoredPageBytes(const KvLayout& layout) {
  return layout.page_bytes() + static_cast<int64_t>(kManifestBytes + 3 * kStoredKeyBytes);
}

}  // namespace lectern::cache
