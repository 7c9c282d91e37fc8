#include "services/documents/lexical_index.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

constexpr size_t kQueryWordsMax = 64;
constexpr size_t kQueryWordBytesMax = 64;

// Words of questions that say nothing about their subject.
constexpr std::array<std::string_view, 62> kEmptyWords = {
    "a",     "about",  "an",     "and",  "any",  "are",  "as",   "at",   "be",    "been",  "by",
    "can",   "could",  "did",    "do",   "does", "for",  "from", "had",  "has",   "have",  "how",
    "i",     "if",     "in",     "into", "is",   "it",   "its",  "me",   "my",    "of",    "on",
    "or",    "please", "should", "so",   "tell", "than", "that", "the",  "their", "them",  "there",
    "these", "they",   "this",   "to",   "us",   "was",  "were", "what", "when",  "where", "which",
    "who",   "whom",   "whose",  "why",  "will", "with", "would"};

bool IsWordByte(char byte) { return IsAsciiWord(byte) || static_cast<unsigned char>(byte) >= 0x80; }

std::vector<std::string> WordsOf(std::string_view question) {
  std::vector<std::string> words;
  std::set<std::string> known;
  for (size_t at = 0; at < question.size();) {
    if (!IsWordByte(question[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < question.size() && IsWordByte(question[end])) ++end;
    std::string word = AsciiToLower(question.substr(at, end - at));
    at = end;
    if (word.size() <= kQueryWordBytesMax && known.insert(word).second)
      words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

std::string MakeFtsQuery(std::string_view question) {
  const std::vector<std::string> words = WordsOf(question);
  std::vector<std::string> telling;
  for (const std::string& word : words) {
    if (std::find(kEmptyWords.begin(), kEmptyWords.end(), word) == kEmptyWords.end())
      telling.push_back(word);
  }
  const std::vector<std::string>& chosen = telling.empty() ? words : telling;
  std::string query;
  for (size_t i = 0; i < std::min(chosen.size(), kQueryWordsMax); ++i) {
    // A word holds no quotation mark: only letters, digits and bytes of other scripts.
    absl::StrAppend(&query, i == 0 ? "" : " OR ", "\"", chosen[i], "\"");
  }
  return query;
}

absl::Status LexicalIndex::Error(int code) const {
  const std::string message = absl::StrCat("full-text index: ", sqlite3_errmsg(database_));
  return code == SQLITE_NOMEM ? absl::ResourceExhaustedError(message)
                              : absl::InternalError(message);
}

absl::Status LexicalIndex::Run(const char* sql) {
  const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<sqlite3_stmt*> LexicalIndex::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr);
  if (code != SQLITE_OK) return Error(code);
  return statement;
}

absl::StatusOr<std::unique_ptr<LexicalIndex>> LexicalIndex::Create() {
  std::unique_ptr<LexicalIndex> index(new LexicalIndex);
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(":memory:", &index->database_, flags, nullptr);
  if (code != SQLITE_OK) return index->Error(code);
  // content='': the texts themselves are held elsewhere. Positions stay in: what is one word here
  // may be two to the tokenizer, and then it is a phrase.
  RETURN_IF_ERROR(
      index->Run("CREATE VIRTUAL TABLE paragraphs USING fts5(body, content='', "
                 "tokenize='porter unicode61 remove_diacritics 2'); BEGIN"));
  ASSIGN_OR_RETURN(index->insert_,
                   index->Prepare("INSERT INTO paragraphs(rowid, body) VALUES (?1, ?2)"));
  ASSIGN_OR_RETURN(index->search_,
                   index->Prepare("SELECT rowid FROM paragraphs WHERE paragraphs MATCH ?1 "
                                  "ORDER BY bm25(paragraphs), rowid LIMIT ?2"));
  return index;
}

LexicalIndex::~LexicalIndex() {
  sqlite3_finalize(insert_);
  sqlite3_finalize(search_);
  sqlite3_close(database_);
}

absl::Status LexicalIndex::Add(std::string_view text) {
  sqlite3_reset(insert_);
  sqlite3_bind_int64(insert_, 1, size_++);
  sqlite3_bind_text64(insert_, 2, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  const int code = sqlite3_step(insert_);
  return code == SQLITE_DONE ? absl::OkStatus() : Error(code);
}

absl::StatusOr<std::vector<int64_t>> LexicalIndex::Search(std::string_view question, int limit) {
  const std::string query = MakeFtsQuery(question);
  std::vector<int64_t> numbers;
  if (query.empty()) return numbers;
  sqlite3_reset(search_);
  sqlite3_bind_text64(search_, 1, query.data(), query.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  sqlite3_bind_int(search_, 2, limit);
  int code = sqlite3_step(search_);
  for (; code == SQLITE_ROW; code = sqlite3_step(search_)) {
    numbers.push_back(sqlite3_column_int64(search_, 0));
  }
  if (code != SQLITE_DONE) return Error(code);
  return numbers;
}

}  // namespace lectern::documents
