#pragma once
// A throw-away full-text index over paragraphs: SQLite FTS5 in memory.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lectern::documents {

// The words of a question as an FTS5 query: each quoted, so that no word is an operator; joined by
// OR; without words that say nothing about the subject ("what", "the"), unless there are no others.
// Empty for a question without words.
std::string MakeFtsQuery(std::string_view question);

// Not thread safe.
class LexicalIndex {
 public:
  // Internal: SQLite was built without FTS5.
  static absl::StatusOr<std::unique_ptr<LexicalIndex>> Create();
  ~LexicalIndex();
  LexicalIndex(const LexicalIndex&) = delete;
  LexicalIndex& operator=(const LexicalIndex&) = delete;

  // Texts are numbered from 0 in the order of the calls. ResourceExhausted: no memory.
  absl::Status Add(std::string_view text);
  // At most `limit` numbers of texts that hold a word of the question, best BM25 score first, ties
  // by number.
  absl::StatusOr<std::vector<int64_t>> Search(std::string_view question, int limit);

 private:
  LexicalIndex() = default;
  absl::Status Run(const char* sql);
  absl::StatusOr<sqlite3_stmt*> Prepare(const char* sql);
  absl::Status Error(int code) const;

  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* search_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace lectern::documents
