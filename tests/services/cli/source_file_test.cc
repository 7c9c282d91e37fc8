#include "services/cli/source_file.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>

#include "services/documents/crc32c.h"
#include "tests/services/cli/fake_client.h"

namespace lectern::cli {
namespace {

UploadOptions Quiet() {
  UploadOptions options;
  options.show_progress = false;
  return options;
}

// Keeps what is uploaded; breaks the stream after `chunks_until_break` chunks, once.
class UploadServer final : public FakeClient {
 public:
  absl::StatusOr<v1::StartUploadResponse> StartUpload(
      const v1::StartUploadRequest& request) override {
    name = request.display_name();
    v1::StartUploadResponse response;
    response.set_upload_id("u1");
    response.set_chunk_bytes_max(1000);
    return response;
  }
  absl::StatusOr<v1::Document> Upload(
      const std::function<bool(v1::UploadRequest*)>& next) override {
    for (v1::UploadRequest request; next(&request); request.Clear()) {
      EXPECT_EQ(request.upload_id(), "u1");
      if (request.has_finish()) {
        EXPECT_EQ(request.finish().size(), static_cast<int64_t>(stored.size()));
        EXPECT_EQ(request.finish().sha256().size(), 64U);
        v1::Document document;
        document.set_name("documents/" + std::to_string(std::hash<std::string>()(stored)));
        return document;
      }
      const v1::UploadRequest::Chunk& chunk = request.chunk();
      if (chunks_until_break-- == 0) return absl::UnavailableError("connection lost");
      EXPECT_EQ(chunk.offset(), static_cast<int64_t>(stored.size()));
      EXPECT_EQ(chunk.crc32c(), documents::Crc32c(chunk.data()));
      stored += chunk.data();
    }
    return absl::InternalError("no finish");
  }
  absl::StatusOr<v1::QueryUploadResponse> QueryUpload(const v1::QueryUploadRequest&) override {
    v1::QueryUploadResponse response;
    response.set_committed_size(static_cast<int64_t>(stored.size()));
    return response;
  }

  std::string name;
  std::string stored;
  int chunks_until_break = -1;
};

class SourceFileTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = testing::TempDir() + "source_file_test_" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    paths_.push_back(path);
    return path;
  }
  ~SourceFileTest() override {
    for (const std::string& path : paths_) std::remove(path.c_str());
  }
  std::vector<std::string> paths_;
};

TEST_F(SourceFileTest, SendsEveryByteInOrder) {
  std::string bytes;
  for (int i = 0; i < 3500; ++i) bytes.push_back(static_cast<char>(i * 7));
  UploadServer server;
  const auto document = UploadFile(server, Write("a.txt", bytes), Quiet());
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(server.stored, bytes);
}

TEST_F(SourceFileTest, GoesOnWhereABrokenStreamStopped) {
  const std::string bytes(5000, 'x');
  UploadServer server;
  server.chunks_until_break = 3;
  const auto document = UploadFile(server, Write("b.txt", bytes), Quiet());
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(server.stored, bytes);
  EXPECT_EQ(server.reconnects, 1);
}

TEST_F(SourceFileTest, EqualFilesAreOneDocumentCalledByTheFirst) {
  UploadServer server;
  const std::string first = Write("c.txt", "same");
  const std::string second = Write("d.txt", "same");
  // The fake keeps one upload at a time.
  struct Resetting final : FakeClient {
    absl::StatusOr<v1::StartUploadResponse> StartUpload(
        const v1::StartUploadRequest& request) override {
      inner = UploadServer();
      return inner.StartUpload(request);
    }
    absl::StatusOr<v1::Document> Upload(
        const std::function<bool(v1::UploadRequest*)>& next) override {
      return inner.Upload(next);
    }
    UploadServer inner;
  } client;
  const auto documents = ResolveDocuments(client, {first, second}, Quiet());
  ASSERT_TRUE(documents.ok()) << documents.status();
  ASSERT_EQ(documents->names.size(), 1U);
  EXPECT_EQ(documents->Label(documents->names[0]), first);
}

TEST_F(SourceFileTest, MissingFilesAndFoldersAreNamed) {
  UploadServer server;
  EXPECT_TRUE(absl::IsNotFound(UploadFile(server, "no/such/file", {}).status()));
  const absl::Status folder = UploadFile(server, testing::TempDir(), {}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(folder)) << folder;
}

TEST(RequestIdTest, IsARandomUuid) {
  const std::string a = NewRequestId();
  EXPECT_TRUE(std::regex_match(
      a, std::regex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")))
      << a;
  EXPECT_NE(a, NewRequestId());
}

}  // namespace
}  // namespace lectern::cli
