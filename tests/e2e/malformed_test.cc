// What broken or hostile clients send, and broken files at the start: a clear typed error, and the
// server goes on.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "services/cli/source_file.h"
#include "services/documents/crc32c.h"
#include "tests/e2e/asking.h"
#include "tests/e2e/processes.h"
#include "tests/e2e/raw_call.h"
#include "tests/e2e/tiny_model.h"

namespace lectern::e2e {
namespace {

namespace fs = std::filesystem;

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string Sha256Hex(const std::string& bytes) {
  base::Sha256 hash;
  hash.Update(bytes);
  return base::ToHex(hash.Finish());
}

class MalformedTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TestDirectory("malformed");
    const auto model = WriteTinyModel(directory_->Path("model"));
    ASSERT_TRUE(model.ok()) << model.status();
    auto server = ServerProcess::Start(
        {.data_directory = directory_->Path("data"), .model = *model, .flags = {"--quiet"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete directory_;
  }
  void SetUp() override {
    ASSERT_NE(server_, nullptr);
    ASSERT_TRUE(server_->Running());
    client_ = server_->Connect();
  }
  void TearDown() override {
    ASSERT_TRUE(server_->Running()) << "the server died: " << server_->Log();
    EXPECT_TRUE(client_->GetStats().ok());
  }

  std::string StartUpload(const std::string& name) {
    v1::StartUploadRequest start;
    start.set_display_name(name);
    const auto started = client_->StartUpload(start);
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? started->upload_id() : "";
  }
  // Sends the messages given, in order.
  absl::Status Send(std::vector<v1::UploadRequest> messages) {
    size_t next = 0;
    return client_
        ->Upload([&](v1::UploadRequest* request) {
          if (next == messages.size()) return false;
          *request = messages[next++];
          return true;
        })
        .status();
  }

  static TestDirectory* directory_;
  static ServerProcess* server_;
  std::unique_ptr<cli::Client> client_;
};

TestDirectory* MalformedTest::directory_ = nullptr;
ServerProcess* MalformedTest::server_ = nullptr;

v1::UploadRequest Chunk(const std::string& upload, int64_t offset, const std::string& data) {
  v1::UploadRequest request;
  request.set_upload_id(upload);
  request.mutable_chunk()->set_offset(offset);
  request.mutable_chunk()->set_data(data);
  request.mutable_chunk()->set_crc32c(documents::Crc32c(data));
  return request;
}

v1::UploadRequest Finish(const std::string& upload, const std::string& bytes) {
  v1::UploadRequest request;
  request.set_upload_id(upload);
  request.mutable_finish()->set_size(static_cast<int64_t>(bytes.size()));
  request.mutable_finish()->set_sha256(Sha256Hex(bytes));
  return request;
}

TEST_F(MalformedTest, MutatedRequestsOfEveryMethod) {
  const auto seed =
      static_cast<uint64_t>(EnvironmentNumber("LECTERN_E2E_SEED", std::random_device()()));
  const int64_t rounds = EnvironmentNumber("LECTERN_E2E_MUTATIONS", 12);  // of each method
  std::cout << "LECTERN_E2E_SEED=" << seed << " LECTERN_E2E_MUTATIONS=" << rounds << "\n";
  std::mt19937_64 random(seed);
  for (const ApiMethod& method : ApiMethods()) {
    for (int64_t i = 0; i < rounds; ++i) {
      std::string bytes = FilledRequest(method.request_type, random());
      switch (i % 4) {
        case 0:  // as it is: well formed, senseless
          break;
        case 1:  // flipped bits
          for (int flips = 0; flips < 8 && !bytes.empty(); ++flips) {
            bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
          }
          break;
        case 2:  // cut short
          bytes.resize(bytes.size() * (random() % 100) / 100);
          break;
        default:  // noise, with a length field that promises 2 GiB
          bytes = "\x0a\xff\xff\xff\xff\x07";
          for (int n = 0; n < 64; ++n) bytes.push_back(static_cast<char>(random()));
      }
      const absl::Status status =
          CallRaw(server_->address(), method.path, bytes, std::chrono::seconds(20));
      EXPECT_NE(status.code(), absl::StatusCode::kUnknown) << method.path << " " << status;
      EXPECT_NE(status.code(), absl::StatusCode::kDeadlineExceeded)
          << method.path << " hung; seed " << seed;
      EXPECT_NE(status.code(), absl::StatusCode::kUnavailable) << method.path << " " << status;
    }
    ASSERT_TRUE(server_->Running()) << method.path << " killed the server: " << server_->Log();
  }
  EXPECT_EQ(
      CallRaw(server_->address(), "/lectern.v1.Jobs/NoSuchMethod", "", std::chrono::seconds(5))
          .code(),
      absl::StatusCode::kUnimplemented);
}

TEST_F(MalformedTest, BadChunksAreRefusedAndTheUploadGoesOn) {
  const std::string text = "The valve is opened by the keeper.\n";
  const std::string upload = StartUpload("a.txt");
  v1::UploadRequest corrupt = Chunk(upload, 0, text);
  corrupt.mutable_chunk()->set_crc32c(corrupt.chunk().crc32c() ^ 1U);
  EXPECT_EQ(Send({corrupt}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Send({Chunk(upload, 7, text)}).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Send({Chunk("no-such-upload", 0, text)}).code(), absl::StatusCode::kNotFound);
  const absl::Status huge = Send({Chunk(upload, 0, std::string((1 << 20) + 1, 'x'))});
  EXPECT_TRUE(absl::IsInvalidArgument(huge) || absl::IsOutOfRange(huge)) << huge;
  v1::UploadRequest wrong_hash = Finish(upload, text);
  wrong_hash.mutable_finish()->set_sha256(Sha256Hex("something else"));
  EXPECT_FALSE(Send({Chunk(upload, 0, text), wrong_hash}).ok());
  // None of this did harm: the bytes that were right are committed, the rest can follow.
  const absl::Status finished = Send({Finish(upload, text)});
  EXPECT_TRUE(finished.ok()) << finished;
}

TEST_F(MalformedTest, BrokenPdfsAreRefusedOrRead) {
  const std::string pdf = Bytes(LECTERN_SOURCE_DIR "/deploy/sample/station-manual.pdf");
  ASSERT_GT(pdf.size(), 10000U);
  const auto seed =
      static_cast<uint64_t>(EnvironmentNumber("LECTERN_E2E_SEED", std::random_device()()));
  std::cout << "LECTERN_E2E_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const auto upload_all = [&](const std::string& bytes) {
    cli::UploadOptions quiet;
    quiet.show_progress = false;
    return cli::UploadFile(*client_, directory_->Write("broken.pdf", bytes), quiet).status();
  };
  for (const double share : {0.001, 0.3, 0.9}) {
    const absl::Status status =
        upload_all(pdf.substr(0, static_cast<size_t>(static_cast<double>(pdf.size()) * share)));
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << share << " " << status;
  }
  for (int i = 0; i < 4; ++i) {
    std::string bytes = pdf;
    for (int flips = 0; flips < 200; ++flips)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    const absl::Status status = upload_all(bytes);
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(upload_all("%PDF-1.7\n")));
  EXPECT_FALSE(upload_all("").ok());
}

TEST_F(MalformedTest, SenselessJobsAreRefusedBeforeWork) {
  const auto document = UploadText(*client_, directory_->Path("b.txt"), "The lamp burns.\n");
  ASSERT_TRUE(document.ok()) << document.status();
  const auto refused = [&](const v1::CreateJobRequest& request) {
    return client_->CreateJob(request).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(refused(JobRequest({*document}, {}, {}))));
  EXPECT_TRUE(absl::IsInvalidArgument(refused(JobRequest({}, {"Who?"}, {}))));
  EXPECT_TRUE(absl::IsInvalidArgument(refused(JobRequest({*document}, {""}, {}))));
  EXPECT_TRUE(absl::IsInvalidArgument(refused(JobRequest({"documents/none"}, {"Who?"}, {}))));
  EXPECT_TRUE(
      absl::IsNotFound(refused(JobRequest({"documents/0123456789abcdef01234567"}, {"Who?"}, {}))));
  v1::AnswerOptions options;
  options.mutable_sampling()->set_temperature(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(refused(JobRequest({*document}, {"Who?"}, options))));
  options.mutable_sampling()->set_temperature(0);
  options.mutable_sampling()->set_top_p(2);
  EXPECT_TRUE(absl::IsInvalidArgument(refused(JobRequest({*document}, {"Who?"}, options))));
}

// A model directory with one damaged file: the start is refused, and the message names the file.
TEST_F(MalformedTest, DamagedModelsAreRefusedByName) {
  const std::string model = directory_->Path("model");
  const auto start_with = [&](const std::string& file, const std::string& bytes) {
    const std::string damaged = directory_->Path("damaged");
    fs::remove_all(damaged);
    fs::copy(model, damaged, fs::copy_options::recursive);
    std::ofstream(damaged + "/" + file, std::ios::binary) << bytes;
    return RunLectern({"serve", "--listen", "127.0.0.1:0", "--metrics", "none", "--data-dir",
                       directory_->Path("damaged-data"), "--model", damaged, "--quiet"});
  };
  const std::string weights = Bytes(model + "/model.safetensors");
  const std::string config = Bytes(model + "/config.json");
  const std::string tokenizer = Bytes(model + "/tokenizer.json");
  std::string bad_length = weights;
  bad_length[3] = '\x7f';
  for (const auto& [file, bytes] : std::vector<std::pair<std::string, std::string>>{
           {"model.safetensors", weights.substr(0, weights.size() / 2)},
           {"model.safetensors", bad_length},
           {"model.safetensors", ""},
           {"config.json", config.substr(0, config.size() / 2)},
           {"config.json", "[]"},
           {"tokenizer.json", tokenizer.substr(0, tokenizer.size() / 3)},
           {"tokenizer.json", "{\"model\":{\"vocab\":7}}"}}) {
    const CommandResult result = start_with(file, bytes);
    EXPECT_EQ(result.exit_code, 3) << file << ": " << result.errors;
    EXPECT_NE(result.errors.find(file), std::string::npos) << result.errors;
  }
}

}  // namespace
}  // namespace lectern::e2e
