#pragma once
// A whole server on loopback over a real engine with a random model, and a client for it.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/sha256.h"
#include "lectern/v1/services.grpc.pb.h"
#include "services/common/error_details.h"
#include "services/common/grpc_status.h"
#include "services/documents/crc32c.h"
#include "services/frontend/server.h"
#include "tests/testing/byte_tokenizer.h"
#include "tests/testing/dummy_checkpoint.h"

namespace lectern::frontend {

// Zeroes the rows of the output head for `ids`, so that greedy decoding does not choose them.
inline void Silence(const std::string& checkpoint, const std::vector<int>& ids, int hidden_size) {
  std::fstream file(checkpoint, std::ios::in | std::ios::out | std::ios::binary);
  uint64_t header_size = 0;
  file.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
  std::string header(header_size, '\0');
  file.read(header.data(), static_cast<std::streamsize>(header_size));
  const auto tensors = nlohmann::json::parse(header);
  const auto begin = tensors["lm_head.weight"]["data_offsets"][0].get<uint64_t>();
  const std::string zeros(static_cast<size_t>(hidden_size) * 2, '\0');  // bfloat16
  for (const int id : ids) {
    file.seekp(static_cast<std::streamoff>(8 + header_size + begin +
                                           static_cast<uint64_t>(id) * zeros.size()));
    file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
  }
  EXPECT_TRUE(file.good());
}

// A model that speaks bytes without sense and without end; what it says depends on every token of
// its prompt.
inline std::string ModelDirectory() {
  static const std::string directory = [] {
    const std::string path = ::testing::TempDir() + "/server_model." + std::to_string(getpid());
    testing::DummyModel model;
    model.vocab_size = testing::kByteVocabulary;
    model.eos_token_id = testing::kByteVocabulary - 1;
    EXPECT_TRUE(testing::MakeDummyCheckpoint(path, model, /*seed=*/7).ok());
    Silence(path + "/model.safetensors", {260, 262}, model.hidden_size);  // <|user|>, <|endoftext|>
    std::ofstream(path + "/tokenizer.json") << testing::ByteTokenizerJson();
    std::ofstream(path + "/lectern.json") << testing::ByteModelCard(0);
    return path;
  }();
  return directory;
}

inline ServerOptions TestOptions(const std::string& data_directory) {
  ServerOptions options;
  options.data_directory = data_directory;
  options.engine.model_directory = ModelDirectory();
  options.engine.num_threads = 1;
  options.engine.kv_cache_bytes = 32LL << 20;
  options.engine.disk_tier_bytes = 64LL << 20;
  options.listen_address = "127.0.0.1:0";
  options.metrics_address = "";
  return options;
}

inline std::string FreshDirectory(const std::string& name) {
  const std::string path = ::testing::TempDir() + "/" + name + "." + std::to_string(getpid());
  std::filesystem::remove_all(path);
  return path;
}

inline std::string SampleText(int paragraphs) {
  std::string text;
  for (int i = 0; i < paragraphs; ++i) {
    text += "Section " + std::to_string(i) + " of the report says that the toll was " +
            std::to_string(i * 37 % 101) + " crowns in the year " + std::to_string(1900 + i) +
            ".\n\n";
  }
  return text;
}

// One server process's worth of stubs.
class Client {
 public:
  explicit Client(std::shared_ptr<grpc::Channel> channel)
      : channel(channel),
        documents(v1::Documents::NewStub(channel)),
        jobs(v1::Jobs::NewStub(channel)),
        sessions(v1::Sessions::NewStub(channel)),
        admin(v1::Admin::NewStub(channel)) {}

  std::string StartUpload(const std::string& name) {
    v1::StartUploadRequest request;
    request.set_display_name(name);
    v1::StartUploadResponse response;
    grpc::ClientContext context;
    const grpc::Status status = documents->StartUpload(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.upload_id();
  }

  static v1::UploadRequest Chunk(const std::string& upload, int64_t offset,
                                 const std::string& data) {
    v1::UploadRequest message;
    message.set_upload_id(upload);
    message.mutable_chunk()->set_offset(offset);
    message.mutable_chunk()->set_data(data);
    message.mutable_chunk()->set_crc32c(documents::Crc32c(data));
    return message;
  }

  static v1::UploadRequest Finish(const std::string& upload, const std::string& text) {
    base::Sha256 sha;
    sha.Update(std::string_view(text));
    v1::UploadRequest message;
    message.set_upload_id(upload);
    message.mutable_finish()->set_size(static_cast<int64_t>(text.size()));
    message.mutable_finish()->set_sha256(base::ToHex(sha.Finish()));
    return message;
  }

  grpc::Status Send(const std::vector<v1::UploadRequest>& messages, v1::Document* document) {
    grpc::ClientContext context;
    const auto writer = documents->Upload(&context, document);
    for (const auto& message : messages) {
      if (!writer->Write(message)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }

  v1::Document Upload(const std::string& name, const std::string& text) {
    const std::string upload = StartUpload(name);
    v1::Document document;
    const grpc::Status status = Send({Chunk(upload, 0, text), Finish(upload, text)}, &document);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return document;
  }

  v1::Job CreateJob(const std::string& document, const std::vector<std::string>& questions,
                    int max_new_tokens = 24) {
    v1::CreateJobRequest request;
    request.add_documents(document);
    for (const auto& question : questions) request.add_questions()->set_text(question);
    request.mutable_options()->mutable_sampling()->set_max_new_tokens(max_new_tokens);
    v1::Job job;
    grpc::ClientContext context;
    const grpc::Status status = jobs->CreateJob(&context, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  // Every event after `after_seq` until the end, or until `limit` events have come.
  std::vector<v1::AnswerEvent> Watch(const std::string& job, int64_t after_seq = 0,
                                     size_t limit = SIZE_MAX) {
    v1::WatchJobRequest request;
    request.set_name(job);
    request.set_after_seq(after_seq);
    grpc::ClientContext context;
    const auto reader = jobs->WatchJob(&context, request);
    std::vector<v1::AnswerEvent> events;
    v1::AnswerEvent event;
    while (events.size() < limit && reader->Read(&event)) {
      EXPECT_EQ(event.seq(), after_seq + static_cast<int64_t>(events.size()) + 1);
      events.push_back(event);
    }
    context.TryCancel();
    reader->Finish();
    return events;
  }

  v1::Stats Stats() {
    v1::Stats stats;
    grpc::ClientContext context;
    EXPECT_TRUE(admin->GetStats(&context, {}, &stats).ok());
    return stats;
  }

  // Stats once no request is left in the engine.
  v1::Stats WaitUntilIdle() {
    v1::Stats stats = Stats();
    for (int i = 0; i < 3000 && stats.requests_running() + stats.requests_waiting() > 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      stats = Stats();
    }
    return stats;
  }

  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Documents::Stub> documents;
  std::unique_ptr<v1::Jobs::Stub> jobs;
  std::unique_ptr<v1::Sessions::Stub> sessions;
  std::unique_ptr<v1::Admin::Stub> admin;
};

inline std::unique_ptr<Server> MustStart(const ServerOptions& options) {
  auto server = Server::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

inline Client Connect(const Server& server) {
  return Client(grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
}

// ErrorInfo.reason of an error; empty where there is none.
inline std::string Reason(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  common::GetErrorInfo(common::FromGrpcStatus(status), &info);
  return info.reason();
}

struct Heard {
  std::string text;
  std::vector<int32_t> ids;
  v1::Answer answer;
  int finished = 0;
};

inline Heard Listen(const std::vector<v1::AnswerEvent>& events, int question) {
  Heard heard;
  for (const auto& event : events) {
    if (event.question_index() != question) continue;
    heard.text += event.text_delta().text();
    for (const int32_t id : event.text_delta().token_ids()) heard.ids.push_back(id);
    if (event.has_finished()) {
      heard.answer = event.finished();
      ++heard.finished;
    }
  }
  return heard;
}

}  // namespace lectern::frontend
