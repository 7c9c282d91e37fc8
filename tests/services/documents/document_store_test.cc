#include "services/documents/document_store.h"

#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/common/error_details.h"
#include "services/documents/crc32c.h"
#include "services/state/memory_state_store.h"
#include "tests/services/documents/small_pdf.h"

namespace lectern::documents {
namespace {

using ::testing::HasSubstr;
using Code = absl::StatusCode;

std::string Hex(std::string_view bytes) {
  base::Sha256 hash;
  hash.Update(bytes);
  return base::ToHex(hash.Finish());
}

v1::UploadRequest::Chunk MakeChunk(int64_t offset, std::string_view data) {
  v1::UploadRequest::Chunk chunk;
  chunk.set_offset(offset);
  chunk.set_data(std::string(data));
  chunk.set_crc32c(Crc32c(data));
  return chunk;
}

v1::UploadRequest::Finish MakeFinish(std::string_view bytes) {
  v1::UploadRequest::Finish finish;
  finish.set_size(static_cast<int64_t>(bytes.size()));
  finish.set_sha256(Hex(bytes));
  return finish;
}

v1::StartUploadRequest MakeStart(std::string_view name, std::string_view type = "") {
  v1::StartUploadRequest request;
  request.set_display_name(std::string(name));
  request.set_mime_type(std::string(type));
  return request;
}

bool Never() { return false; }

class DocumentStoreTest : public ::testing::Test {
 protected:
  DocumentStoreTest() { Open(); }

  // As a restart of the process would.
  void Open() {
    store_.reset();
    auto created = DocumentStore::Create(state_, clock_, options_);
    ASSERT_TRUE(created.ok()) << created.status();
    store_ = std::move(*created);
  }
  std::string Start(const v1::StartUploadRequest& request = MakeStart("a.txt")) {
    const auto started = store_->StartUpload(request);
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? started->upload_id() : "";
  }
  absl::Status Append(const std::string& id, int64_t offset, std::string_view data) {
    return store_->AppendChunk(id, MakeChunk(offset, data));
  }
  absl::StatusOr<v1::Document> Finish(const std::string& id, std::string_view bytes) {
    return store_->FinishUpload(id, MakeFinish(bytes), Never);
  }
  absl::StatusOr<v1::Document> Upload(std::string_view name, std::string_view bytes,
                                      std::string_view type = "") {
    const std::string id = Start(MakeStart(name, type));
    const absl::Status appended = Append(id, 0, bytes);
    if (!appended.ok()) return appended;
    return Finish(id, bytes);
  }

  state::MemoryStateStore state_;
  base::ManualClock clock_;
  DocumentStoreOptions options_;
  std::unique_ptr<DocumentStore> store_;
};

std::string ReasonOf(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  return common::GetErrorInfo(status, &info) ? info.reason() : "";
}

TEST_F(DocumentStoreTest, AnUploadBecomesADocument) {
  clock_.Advance(std::chrono::milliseconds(1'700'000'000'500));
  const std::string bytes = "First paragraph\nover two lines.\n\nSecond.\n";
  const std::string id = Start();
  ASSERT_TRUE(Append(id, 0, bytes.substr(0, 10)).ok());
  ASSERT_TRUE(Append(id, 10, bytes.substr(10)).ok());
  const auto document = Finish(id, bytes);
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->display_name(), "a.txt");
  EXPECT_EQ(document->mime_type(), "text/plain");
  EXPECT_EQ(document->source_bytes(), static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(document->source_sha256(), Hex(bytes));
  EXPECT_EQ(document->text_bytes(), static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(document->paragraphs(), 2);
  EXPECT_EQ(document->pages(), 0);
  EXPECT_EQ(document->create_time().seconds(), 1'700'000'000);
  EXPECT_EQ(document->create_time().nanos(), 500'000'000);
  EXPECT_EQ(store_->Get(document->name())->SerializeAsString(), document->SerializeAsString());
  EXPECT_EQ(store_->Count(), 1);
  const auto parsed = store_->Load(document->name());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ((*parsed)->text, bytes);
  EXPECT_EQ((*parsed)->paragraphs[0].normalized, "First paragraph over two lines.");
  EXPECT_EQ(store_->Load(document->name())->get(), parsed->get()) << "cached";
  EXPECT_EQ(state_.size(), 3u) << "upload record, document, one piece of text; no chunks";
}

TEST_F(DocumentStoreTest, PdfPagesSurviveARestart) {
  const auto document = Upload("a.pdf", MakePdf({"Page one.", "Page two."}));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->pages(), 2);
  Open();
  const auto parsed = store_->Load(document->name());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ((*parsed)->PageOf(static_cast<int64_t>((*parsed)->text.find("two"))), 2);
  EXPECT_EQ(store_->Count(), 1);
}

TEST_F(DocumentStoreTest, LongTextIsStoredInPieces) {
  std::string bytes;
  while (bytes.size() < 3'000'000) bytes += "Grüße aus Übersee, 日本. ";
  const std::string id = Start();
  for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
    ASSERT_TRUE(Append(id, static_cast<int64_t>(at), bytes.substr(at, 1 << 20)).ok());
  }
  const auto document = Finish(id, bytes);
  ASSERT_TRUE(document.ok()) << document.status();
  Open();
  EXPECT_EQ((*store_->Load(document->name()))->text, bytes);
}

TEST_F(DocumentStoreTest, EqualBytesAreOneDocument) {
  const auto first = Upload("first.txt", "Some text.");
  const auto second = Upload("second.txt", "Some text.");
  const auto markdown = Upload("third.md", "Some text.");
  ASSERT_TRUE(first.ok() && second.ok() && markdown.ok());
  EXPECT_EQ(second->SerializeAsString(), first->SerializeAsString())
      << "the first display name stays";
  EXPECT_NE(markdown->name(), first->name());
  EXPECT_EQ(store_->Count(), 2);
}

TEST_F(DocumentStoreTest, UploadsSurviveARestartAndReportTheirSize) {
  const std::string id = Start();
  ASSERT_TRUE(Append(id, 0, "Half ").ok());
  state_.LosePower();
  Open();
  EXPECT_EQ(store_->QueryUpload(id)->committed_size(), 5);
  ASSERT_TRUE(Append(id, 5, "and half.").ok());
  const auto document = Finish(id, "Half and half.");
  ASSERT_TRUE(document.ok()) << document.status();
  state_.LosePower();
  Open();
  EXPECT_EQ(store_->QueryUpload(id)->document(), document->name());
  EXPECT_EQ(Finish(id, "Half and half.")->name(), document->name()) << "idempotent";
  EXPECT_EQ((*store_->Load(document->name()))->text, "Half and half.");
}

TEST_F(DocumentStoreTest, ChunksGoWhereTheyBelong) {
  const std::string id = Start();
  ASSERT_TRUE(Append(id, 0, "0123456789").ok());
  const absl::Status gap = Append(id, 11, "x");
  EXPECT_EQ(gap.code(), Code::kOutOfRange);
  EXPECT_EQ(ReasonOf(gap), "UPLOAD_OFFSET");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(common::GetErrorInfo(gap, &info));
  EXPECT_EQ(info.metadata().at("committed_size"), "10");
  EXPECT_EQ(Append(id, 8, "89a").code(), Code::kOutOfRange) << "over the border";
  EXPECT_EQ(Append(id, -1, "x").code(), Code::kInvalidArgument);
  ASSERT_TRUE(Append(id, 10, "abcdef").ok());
  EXPECT_TRUE(Append(id, 0, "0123456789").ok()) << "sent again";
  EXPECT_TRUE(Append(id, 7, "789abc").ok()) << "sent again, cut otherwise";
  EXPECT_EQ(Append(id, 7, "789abX").code(), Code::kInvalidArgument) << "sent again, changed";
  EXPECT_TRUE(Append(id, 16, "").ok());
  EXPECT_EQ(store_->QueryUpload(id)->committed_size(), 16);
  EXPECT_EQ(Append("00000000000000000000000000000000", 0, "x").code(), Code::kNotFound);
  EXPECT_TRUE(Finish(id, "0123456789abcdef").ok());
  EXPECT_EQ(Append(id, 16, "x").code(), Code::kFailedPrecondition);
}

TEST_F(DocumentStoreTest, ADamagedChunkIsNotStored) {
  const std::string id = Start();
  auto chunk = MakeChunk(0, "data");
  chunk.set_crc32c(chunk.crc32c() ^ 1);
  EXPECT_EQ(store_->AppendChunk(id, chunk).code(), Code::kDataLoss);
  chunk = MakeChunk(0, "data");
  (*chunk.mutable_data())[2] ^= 4;
  EXPECT_EQ(store_->AppendChunk(id, chunk).code(), Code::kDataLoss);
  EXPECT_EQ(store_->QueryUpload(id)->committed_size(), 0);
  EXPECT_EQ(state_.size(), 1u);
}

TEST_F(DocumentStoreTest, FinishChecksSizeAndHash) {
  const std::string id = Start();
  ASSERT_TRUE(Append(id, 0, "Text.").ok());
  EXPECT_EQ(Finish(id, "Text. More").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(Finish(id, "text.").status().code(), Code::kDataLoss);
  auto upper = MakeFinish("Text.");
  for (char& digit : *upper.mutable_sha256()) digit = static_cast<char>(std::toupper(digit));
  EXPECT_TRUE(store_->FinishUpload(id, upper, Never).ok());

  auto request = MakeStart("b.txt");
  request.set_size(3);
  const std::string declared = Start(request);
  EXPECT_EQ(Append(declared, 0, "four").code(), Code::kInvalidArgument);
  ASSERT_TRUE(Append(declared, 0, "abc").ok());
  EXPECT_EQ(Finish(declared, "ab").status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(Finish(declared, "abc").ok());
}

TEST_F(DocumentStoreTest, StartRefusesBeforeAnyByte) {
  auto request = MakeStart("a.txt", "image/png");
  EXPECT_EQ(store_->StartUpload(request).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store_->StartUpload(MakeStart("a.zip")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store_->StartUpload(MakeStart(std::string(2000, 'x'))).status().code(),
            Code::kInvalidArgument);
  request = MakeStart("a.txt");
  request.set_size(options_.source_bytes_max + 1);
  const auto large = store_->StartUpload(request);
  EXPECT_EQ(large.status().code(), Code::kInvalidArgument);
  google::rpc::BadRequest bad;
  ASSERT_TRUE(common::GetBadRequest(large.status(), &bad));
  EXPECT_EQ(bad.field_violations(0).field(), "size");
  request.set_size(-1);
  EXPECT_EQ(store_->StartUpload(request).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(state_.size(), 0u);
}

TEST_F(DocumentStoreTest, OneRequestIdIsOneUpload) {
  auto request = MakeStart("a.txt");
  request.set_request_id("0c8e3f7a-1b1f-4f0e-9d39-6d7a3a6f9f10");
  const std::string id = Start(request);
  EXPECT_EQ(Start(request), id);
  Open();
  EXPECT_EQ(Start(request), id);
  request.set_request_id("another");
  EXPECT_NE(Start(request), id);
  EXPECT_NE(Start(MakeStart("a.txt")), Start(MakeStart("a.txt"))) << "none given, none shared";
}

TEST_F(DocumentStoreTest, UploadsExpireAfterADay) {
  auto request = MakeStart("a.txt");
  request.set_request_id("r");
  const std::string id = Start(request);
  ASSERT_TRUE(Append(id, 0, "data").ok());
  clock_.Advance(std::chrono::hours(25));
  EXPECT_EQ(Append(id, 4, "x").code(), Code::kNotFound);
  Open();
  EXPECT_EQ(state_.size(), 0u);
  EXPECT_EQ(store_->QueryUpload(id).status().code(), Code::kNotFound);
  EXPECT_NE(Start(request), id);
  // A server that runs on sweeps too.
  clock_.Advance(std::chrono::hours(26));
  Start();
  EXPECT_EQ(state_.size(), 1u);
}

TEST_F(DocumentStoreTest, UnfinishedUploadsAreBounded) {
  options_.pending_uploads_max = 2;
  options_.pending_upload_bytes_max = 16'384;
  options_.source_bytes_max = 20'000;
  options_.chunk_bytes_max = 10'000;
  Open();
  const std::string first = Start();
  const std::string second = Start();
  EXPECT_EQ(store_->StartUpload(MakeStart("c.txt")).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(Append(first, 0, std::string(10'001, 'a')).code(), Code::kInvalidArgument);
  ASSERT_TRUE(Append(first, 0, std::string(10'000, 'a')).ok());
  EXPECT_EQ(Append(second, 0, std::string(10'000, 'a')).code(), Code::kResourceExhausted);
  ASSERT_TRUE(Append(second, 0, "a").ok());
  EXPECT_EQ(Append(second, 1, std::string(5'000, 'a')).code(), Code::kResourceExhausted)
      << "a chunk of one byte counts for a page";
  Open();
  EXPECT_EQ(Append(second, 1, std::string(5'000, 'a')).code(), Code::kResourceExhausted)
      << "also after a restart";
  ASSERT_TRUE(Finish(first, std::string(10'000, 'a')).ok());
  EXPECT_TRUE(Append(second, 1, std::string(9'999, 'a')).ok());
  EXPECT_EQ(Append(second, 10'000, std::string(10'000, 'a')).code(), Code::kResourceExhausted);
}

TEST_F(DocumentStoreTest, AFullDiskChangesNothing) {
  const std::string id = Start();
  ASSERT_TRUE(Append(id, 0, "Some ").ok());
  state_.FailWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(Append(id, 5, "text.").code(), Code::kResourceExhausted);
  EXPECT_EQ(store_->StartUpload(MakeStart("b.txt")).status().code(), Code::kResourceExhausted);
  state_.FailWrites(absl::OkStatus());
  EXPECT_EQ(store_->QueryUpload(id)->committed_size(), 5);
  ASSERT_TRUE(Append(id, 5, "text.").ok());
  state_.FailWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(Finish(id, "Some text.").status().code(), Code::kResourceExhausted);
  EXPECT_EQ(store_->Count(), 0);
  state_.FailWrites(absl::OkStatus());
  const auto document = Finish(id, "Some text.");
  ASSERT_TRUE(document.ok()) << document.status();
  state_.FailWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(store_->Delete(document->name()).code(), Code::kResourceExhausted);
  EXPECT_TRUE(store_->Get(document->name()).ok());
}

TEST_F(DocumentStoreTest, UnreadableBytesAreRefusedOnceAndForAll) {
  const std::string bytes = "%PDF-1.4\nnothing of the kind";
  const std::string id = Start(MakeStart("a.pdf"));
  ASSERT_TRUE(Append(id, 0, bytes).ok());
  const auto refused = Finish(id, bytes);
  EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store_->Count(), 0);
  EXPECT_EQ(state_.size(), 1u) << "the bytes are gone";
  Open();
  const auto again = Finish(id, bytes);
  EXPECT_EQ(again.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(again.status().message(), refused.status().message());
}

TEST_F(DocumentStoreTest, ACancelledFinishStaysResumable) {
  const std::string bytes = MakePdf({"Some page."});
  const std::string id = Start(MakeStart("a.pdf"));
  ASSERT_TRUE(Append(id, 0, bytes).ok());
  for (int polls_until = 0; polls_until < 3; ++polls_until) {
    int polls = 0;
    const auto cancelled = [&] { return ++polls > polls_until; };
    EXPECT_EQ(store_->FinishUpload(id, MakeFinish(bytes), cancelled).status().code(),
              Code::kCancelled);
  }
  EXPECT_EQ(store_->QueryUpload(id)->committed_size(), static_cast<int64_t>(bytes.size()));
  EXPECT_TRUE(Finish(id, bytes).ok());
}

TEST_F(DocumentStoreTest, AMissingPdftotextLeavesTheUploadForLater) {
  options_.pdftotext = "pdftotext-that-is-not-there";
  Open();
  const std::string bytes = MakePdf({"Some page."});
  const std::string id = Start(MakeStart("a.pdf"));
  ASSERT_TRUE(Append(id, 0, bytes).ok());
  EXPECT_EQ(Finish(id, bytes).status().code(), Code::kFailedPrecondition);
  options_.pdftotext = "pdftotext";
  Open();
  EXPECT_TRUE(Finish(id, bytes).ok());
}

TEST_F(DocumentStoreTest, DeleteRemovesEveryKey) {
  const std::string id = Start();
  ASSERT_TRUE(Append(id, 0, "Some text.").ok());
  const auto document = Finish(id, "Some text.");
  ASSERT_TRUE(document.ok());
  ASSERT_TRUE(store_->Load(document->name()).ok());
  ASSERT_TRUE(store_->Delete(document->name()).ok());
  EXPECT_EQ(store_->Get(document->name()).status().code(), Code::kNotFound);
  EXPECT_EQ(store_->Load(document->name()).status().code(), Code::kNotFound)
      << "not from the cache";
  EXPECT_EQ(store_->Delete(document->name()).code(), Code::kNotFound);
  EXPECT_EQ(store_->Count(), 0);
  EXPECT_EQ(state_.size(), 1u) << "only the upload's record, until it expires";
  EXPECT_EQ(Finish(id, "Some text.").status().code(), Code::kNotFound);
  EXPECT_EQ(Upload("again.txt", "Some text.")->name(), document->name());
}

TEST_F(DocumentStoreTest, NamesAreChecked) {
  for (const char* name :
       {"", "documents/", "documents/xyz", "jobs/0123456789abcdef01234567",
        "documents/0123456789abcdef0123456/", "documents/0123456789ABCDEF01234567"}) {
    EXPECT_EQ(store_->Get(name).status().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(store_->Load(name).status().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(store_->Delete(name).code(), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(store_->Get("documents/0123456789abcdef01234567").status().code(), Code::kNotFound);
}

TEST_F(DocumentStoreTest, ListsInPages) {
  std::set<std::string> names;
  for (int i = 0; i < 7; ++i) names.insert(Upload("a.txt", "Text " + std::to_string(i))->name());
  std::vector<std::string> listed;
  v1::ListDocumentsRequest request;
  request.set_page_size(3);
  int pages = 0;
  do {
    const auto page = store_->List(request);
    ASSERT_TRUE(page.ok());
    EXPECT_LE(page->documents_size(), 3);
    for (const auto& document : page->documents()) listed.push_back(document.name());
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(listed, std::vector<std::string>(names.begin(), names.end()));
  request.set_page_token("nonsense");
  EXPECT_EQ(store_->List(request).status().code(), Code::kInvalidArgument);
  request.set_page_token("");
  request.set_page_size(-1);
  EXPECT_EQ(store_->List(request).status().code(), Code::kInvalidArgument);
}

TEST_F(DocumentStoreTest, DamagedStateIsDataLoss) {
  const auto document = Upload("a.txt", "Some text.");
  const std::string id = document->name().substr(std::string("documents/").size());
  std::vector<state::Mutation> damage;
  ASSERT_TRUE(state_
                  .Scan("doctext/", "doctext0",
                        [&](std::string_view key, std::string_view) {
                          damage.push_back({std::string(key), "Some"});
                          return true;
                        })
                  .ok());
  ASSERT_EQ(damage.size(), 1u);
  ASSERT_TRUE(state_.Write(damage, state::Durability::kSynced).ok());
  EXPECT_EQ(store_->Load(document->name()).status().code(), Code::kDataLoss);
  ASSERT_TRUE(state_.Write({{"doc/" + id, "\xFF\xFF"}}, state::Durability::kSynced).ok());
  EXPECT_EQ(store_->Get(document->name()).status().code(), Code::kDataLoss);
}

TEST_F(DocumentStoreTest, SmallCachesKeepTheLatest) {
  options_.cache_bytes_max = 1;
  Open();
  const auto first = Upload("a.txt", "First text.");
  const auto second = Upload("b.txt", "Second text.");
  const auto held = store_->Load(first->name());
  EXPECT_EQ(store_->Load(first->name())->get(), held->get());
  ASSERT_TRUE(store_->Load(second->name()).ok());
  EXPECT_NE(store_->Load(first->name())->get(), held->get());
  EXPECT_EQ((*held)->text, "First text.") << "who holds it keeps it";
}

TEST_F(DocumentStoreTest, ManyThreadsUploadTheSameAndOthers) {
  std::vector<std::thread> threads;
  std::vector<std::string> same(8);
  std::vector<std::string> own(8);
  for (size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      same[i] = Upload("same.txt", "The same text.")->name();
      own[i] = Upload("own.txt", "Text " + std::to_string(i))->name();
      EXPECT_TRUE(store_->Load(same[i]).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(same.begin(), same.end()).size(), 1u);
  EXPECT_EQ(std::set<std::string>(own.begin(), own.end()).size(), 8u);
  EXPECT_EQ(store_->Count(), 9);
}

TEST_F(DocumentStoreTest, AChunkDuringAFinishWaitsItsTurn) {
  const std::string bytes = MakePdf({"Some page."});
  const std::string id = Start(MakeStart("a.pdf"));
  ASSERT_TRUE(Append(id, 0, bytes).ok());
  std::thread appends([&] {
    const absl::Status late = Append(id, static_cast<int64_t>(bytes.size()), "x");
    EXPECT_TRUE(late.ok() || late.code() == Code::kFailedPrecondition) << late;
  });
  const auto finished = Finish(id, bytes);
  appends.join();
  EXPECT_TRUE(finished.ok() || finished.status().code() == Code::kFailedPrecondition)
      << finished.status();
}

TEST(DocumentStoreOnRocksDbTest, SurvivesAReopening) {
  std::string directory = ::testing::TempDir() + "documents_XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  std::string name;
  for (int round = 0; round < 2; ++round) {
    auto state = state::OpenRocksDbStateStore(directory);
    ASSERT_TRUE(state.ok()) << state.status();
    auto store = DocumentStore::Create(**state, base::SystemClock(), {});
    ASSERT_TRUE(store.ok()) << store.status();
    if (round == 0) {
      const auto started = (*store)->StartUpload(MakeStart("a.md"));
      ASSERT_TRUE(
          (*store)->AppendChunk(started->upload_id(), MakeChunk(0, "# Title\n\nText.")).ok());
      name = (*store)
                 ->FinishUpload(started->upload_id(), MakeFinish("# Title\n\nText."), Never)
                 ->name();
    }
    EXPECT_EQ((*store)->Count(), 1);
    EXPECT_EQ((*(*store)->Load(name))->paragraphs.size(), 2u);
  }
  std::filesystem::remove_all(directory);
}

TEST(Crc32cTest, MatchesThePublishedVectors) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);              // the CRC catalogue's check value
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);    // RFC 3720, B.4
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);  // RFC 3720, B.4
  std::string bytes;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(Crc32c(bytes), Crc32cByTable(bytes));
    bytes.push_back(static_cast<char>(i * 37));
  }
}

}  // namespace
}  // namespace lectern::documents
