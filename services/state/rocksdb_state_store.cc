// The durable state of one box in RocksDB: small values, log always on, fsync where the caller asks
// for it.

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"
#include "services/state/state_store.h"

namespace lectern::state {
namespace {

absl::Status FromRocksDb(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = "state store: " + status.ToString();
  if (status.IsNotFound()) return absl::NotFoundError(message);
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit)
    return absl::ResourceExhaustedError(message);
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsInvalidArgument()) return absl::FailedPreconditionError(message);
  if (status.IsIOError() || status.IsBusy() || status.IsTryAgain() ||
      status.IsShutdownInProgress()) {
    return absl::UnavailableError(message);
  }
  return absl::InternalError(message);
}

rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }

rocksdb::Options MakeOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  // After a power cut the unsynced end of the log may be torn or hold pages of zeros. Everything
  // acknowledged as synced lies before it, so recovery stops there instead of refusing to open.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.write_buffer_size = 16 << 20;  // state is small; uploads pass through in 1 MiB values
  options.max_open_files = 256;
  options.keep_log_file_num = 4;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8 << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Writes stop while this much is left. A log that once failed to grow leaves RocksDB 7.8 unable to
// write until it is opened anew, and the packaged build asserts when it closes such a log; so it
// must not come to that. Room for two memtables on their way to disk is part of it.
constexpr uint64_t kReservedBytes = 64 << 20;

class RocksDbStateStore final : public StateStore {
 public:
  RocksDbStateStore(std::unique_ptr<rocksdb::DB> db, std::string directory)
      : db_(std::move(db)), directory_(std::move(directory)) {}
  ~RocksDbStateStore() override {
    if (failed_) {
      // See kReservedBytes: closing would assert. What was acknowledged is in the log, which the
      // next open reads.
      db_.release();
      return;
    }
    // Closing reports errors that nobody could act on any more.
    db_->Close().PermitUncheckedError();
  }

  absl::Status Write(const std::vector<Mutation>& mutations, Durability durability) override {
    rocksdb::WriteBatch batch;
    for (const Mutation& mutation : mutations) {
      const rocksdb::Status added = mutation.value.has_value()
                                        ? batch.Put(mutation.key, *mutation.value)
                                        : batch.Delete(mutation.key);
      RETURN_IF_ERROR(FromRocksDb(added));
    }
    RETURN_IF_ERROR(CheckSpace(batch.GetDataSize()));
    rocksdb::WriteOptions options;
    options.sync = durability == Durability::kSynced;
    const rocksdb::Status written = db_->Write(options, &batch);
    if (written.IsIOError()) failed_ = true;
    return FromRocksDb(written);
  }

  absl::StatusOr<std::string> Get(std::string_view key) const override {
    std::string value;
    RETURN_IF_ERROR(FromRocksDb(db_->Get(rocksdb::ReadOptions(), ToSlice(key), &value)));
    return value;
  }

  absl::Status Scan(std::string_view begin, std::string_view end,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override {
    rocksdb::ReadOptions options;
    const rocksdb::Slice upper = ToSlice(end);
    if (!end.empty()) options.iterate_upper_bound = &upper;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(ToSlice(begin)); it->Valid(); it->Next()) {
      if (!visit({it->key().data(), it->key().size()}, {it->value().data(), it->value().size()}))
        break;
    }
    return FromRocksDb(it->status());
  }

 private:
  // A batch is written twice: to the log now, to a table later.
  absl::Status CheckSpace(size_t batch_bytes) const {
    std::error_code error;
    const auto space = std::filesystem::space(directory_, error);
    if (error || space.available >= kReservedBytes + 2 * batch_bytes) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("the disk of ", directory_, " is full: ", space.available >> 20,
                     " MiB are left, and ", kReservedBytes >> 20, " MiB stay reserved"));
  }

  std::unique_ptr<rocksdb::DB> db_;
  const std::string directory_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> OpenRocksDbStateStore(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot create the state directory ", directory, ": ", error.message()));
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(MakeOptions(), directory, &db);
  if (!opened.ok()) {
    // RocksDB reports a held lock as a plain I/O error.
    if (opened.IsIOError() && opened.ToString().find("lock") != std::string::npos) {
      return absl::FailedPreconditionError(absl::StrCat("another process holds the state in ",
                                                        directory, " (", opened.ToString(), ")"));
    }
    return base::Annotate(FromRocksDb(opened), "cannot open " + directory);
  }
  return std::make_unique<RocksDbStateStore>(std::unique_ptr<rocksdb::DB>(db), directory);
}

}  // namespace lectern::state
