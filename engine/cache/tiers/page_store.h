#pragma once
// Pages in RocksDB, synchronously: encode, put, get and check, delete, walk. Options are those
// measured for values of this kind: BlobDB, no WAL (a page can be recomputed), no compression, own
// checksums.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/cache/kv_layout.h"
#include "engine/cache/page_key.h"
#include "engine/cache/page_tier.h"

namespace rocksdb {
class Env;
}

namespace lectern::cache {

struct PageStoreOptions {
  std::string directory;
  // The file system; null: the machine's. Not owned. For fault injection.
  rocksdb::Env* env = nullptr;
};

// What a walk over all pages found.
struct StoreReport {
  int64_t pages = 0;    // whole and right
  int64_t bytes = 0;    // of those, manifests included
  int64_t damaged = 0;  // manifest or segment wrong or missing
  int64_t orphans = 0;  // segments without a manifest
  std::vector<PageKey> damaged_keys;
  std::vector<std::string> problems;  // one line each, at most 100
};

// Thread safe.
class PageStore {
 public:
  struct Entry {
    PageKey key;
    int64_t bytes = 0;
    uint64_t created_unix_seconds = 0;
  };

  virtual ~PageStore() = default;

  // Unavailable: the directory cannot be made, locked or written; names it. A store whose own files
  // are damaged beyond opening is moved to `directory`.corrupt and a new one begins: pages can be
  // recomputed.
  static base::Expected<std::unique_ptr<PageStore>> Open(const PageStoreOptions& options);

  // All of the page or nothing. Unavailable: disk full or failing.
  virtual std::optional<base::Error> Put(const PageIdentity& identity, const KvLayout& layout,
                                         std::span<const std::byte> page,
                                         uint64_t created_unix_seconds) = 0;
  // Fills `page` [layout.page_bytes()]; its contents are undefined unless kLoaded is returned. A
  // damaged page is deleted.
  virtual LoadOutcome Get(const PageIdentity& identity, const KvLayout& layout,
                          std::span<std::byte> page) = 0;
  virtual std::optional<base::Error> Delete(const PageKey& key) = 0;

  // Every page with a sound manifest; segments are not read. Returns how many manifests were
  // damaged (and deleted).
  virtual int64_t ForEach(const std::function<void(const Entry&)>& visit) = 0;
  // Reads and checks everything; deletes what is damaged where `repair`.
  virtual StoreReport Verify(bool repair) = 0;

  virtual std::optional<base::Error> Flush() = 0;
  // Gives the space of deleted pages back to the file system; slow.
  virtual void Compact() = 0;
  // After a failed write: RocksDB refuses writes until this succeeds.
  virtual std::optional<base::Error> Resume() = 0;
};

// Bytes that a page of `layout` takes, manifest included.
int64_t StoredPageBytes(const KvLayout& layout);

}  // namespace lectern::cache
