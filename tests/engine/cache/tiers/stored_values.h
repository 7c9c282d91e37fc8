#pragma once
// The values of a closed page store, changed behind its back.

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lectern::cache {

inline std::unique_ptr<rocksdb::DB> OpenRaw(const std::string& directory) {
  rocksdb::Options options;
  options.enable_blob_files = true;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, directory, &raw);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return std::unique_ptr<rocksdb::DB>(raw);
}

// Stored keys that begin with `prefix` (m, i or l: PAGE_FORMAT.md), in order.
inline std::vector<std::string> StoredKeys(const std::string& directory, char prefix) {
  const auto db = OpenRaw(directory);
  std::vector<std::string> keys;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}));
  for (it->Seek(std::string(1, prefix)); it->Valid() && it->key()[0] == prefix; it->Next()) {
    keys.push_back(it->key().ToString());
  }
  return keys;
}

// An empty value after `change`: the key is deleted.
inline void ChangeStored(const std::string& directory, const std::string& key,
                         const std::function<void(std::string&)>& change) {
  const auto db = OpenRaw(directory);
  std::string value;
  ASSERT_TRUE(db->Get({}, key, &value).ok());
  change(value);
  ASSERT_TRUE((value.empty() ? db->Delete({}, key) : db->Put({}, key, value)).ok());
}

}  // namespace lectern::cache
