#include "services/cli/source_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"
#include "services/cli/terminal.h"
#include "services/documents/crc32c.h"

namespace lectern::cli {
namespace {

using std::chrono::steady_clock;

// One attempt from `offset` on. The server skips chunks that it has already where they agree.
absl::StatusOr<v1::Document> SendFrom(Client& client, const std::string& upload_id,
                                      const std::string& bytes, int64_t offset, int64_t chunk_bytes,
                                      Progress& progress) {
  const auto total = static_cast<int64_t>(bytes.size());
  bool finished = false;
  return client.Upload([&](v1::UploadRequest* request) {
    if (finished) return false;
    request->set_upload_id(upload_id);
    if (offset < total) {
      const int64_t size = std::min(chunk_bytes, total - offset);
      v1::UploadRequest::Chunk& chunk = *request->mutable_chunk();
      chunk.set_offset(offset);
      chunk.set_data(bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(size)));
      chunk.set_crc32c(documents::Crc32c(chunk.data()));
      offset += size;
      progress.Update(offset, total, "B");
      return true;
    }
    base::Sha256 hash;
    hash.Update(bytes);
    request->mutable_finish()->set_size(total);
    request->mutable_finish()->set_sha256(base::ToHex(hash.Finish()));
    finished = true;
    return true;
  });
}

// Finds the server again and asks how far the upload has come.
absl::StatusOr<v1::QueryUploadResponse> Resume(Client& client, const std::string& upload_id,
                                               steady_clock::time_point give_up) {
  absl::Status last = absl::UnavailableError("no server");
  while (steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    last = client.Reconnect();
    if (last.ok()) {
      v1::QueryUploadRequest query;
      query.set_upload_id(upload_id);
      absl::StatusOr<v1::QueryUploadResponse> state = client.QueryUpload(query);
      if (state.ok() || !absl::IsUnavailable(state.status())) return state;
      last = state.status();
    } else if (absl::IsFailedPrecondition(last)) {
      break;  // the embedded server does not come back
    }
  }
  return last;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) {
    const std::string message =
        absl::StrCat(path, ": ", std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
    return errno == ENOENT ? absl::NotFoundError(message) : absl::PermissionDeniedError(message);
  }
  if (S_ISDIR(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory"));
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.is_open() || in.bad()) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": cannot be read"));
  }
  return bytes;
}

absl::StatusOr<v1::Document> UploadFile(Client& client, const std::string& path,
                                        const UploadOptions& options) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  Progress progress(absl::StrCat("upload ", path), options.show_progress);
  v1::StartUploadRequest start;
  start.set_display_name(path);
  start.set_mime_type(options.mime_type);
  start.set_size(static_cast<int64_t>(bytes.size()));
  start.set_request_id(NewRequestId());
  absl::StatusOr<v1::StartUploadResponse> started = client.StartUpload(start);
  if (!started.ok()) return base::Annotate(started.status(), path);
  const int64_t chunk_bytes = std::clamp<int64_t>(started->chunk_bytes_max(), 1, 1 << 20);

  int64_t offset = 0;
  for (;;) {
    absl::StatusOr<v1::Document> document =
        SendFrom(client, started->upload_id(), bytes, offset, chunk_bytes, progress);
    if (document.ok()) return document;
    if (!absl::IsUnavailable(document.status()) || client.embedded()) {
      return base::Annotate(document.status(), path);
    }
    // Time without any server counts, not the time of the transfer.
    const auto give_up =
        steady_clock::now() +
        std::chrono::milliseconds(static_cast<int64_t>(options.reconnect_seconds * 1e3));
    ASSIGN_OR_RETURN(const v1::QueryUploadResponse state,
                     Resume(client, started->upload_id(), give_up));
    if (!state.document().empty()) {
      v1::GetDocumentRequest get;
      get.set_name(state.document());
      return client.GetDocument(get);
    }
    offset = state.committed_size();
  }
}

std::string GivenDocuments::Label(const std::string& name) const {
  const auto found = given_as.find(name);
  return found == given_as.end() ? name : found->second;
}

absl::StatusOr<GivenDocuments> ResolveDocuments(Client& client,
                                                const std::vector<std::string>& given,
                                                const UploadOptions& options) {
  GivenDocuments resolved;
  for (const std::string& word : given) {
    struct stat info = {};
    const bool is_name = word.starts_with("documents/") && stat(word.c_str(), &info) != 0;
    v1::Document document;
    if (is_name) {
      v1::GetDocumentRequest get;
      get.set_name(word);
      ASSIGN_OR_RETURN(document, client.GetDocument(get));
    } else {
      ASSIGN_OR_RETURN(document, UploadFile(client, word, options));
    }
    // Equal content is one document: it is read once and called by its first name.
    if (!resolved.given_as.emplace(document.name(), word).second) continue;
    resolved.names.push_back(document.name());
    resolved.pages[document.name()] = document.pages();
  }
  return resolved;
}

std::string NewRequestId() {
  static std::random_device device;
  const auto word = [] { return static_cast<uint64_t>(device()) << 32 | device(); };
  const uint64_t high = (word() & ~0xF000ULL) | 0x4000ULL;     // version 4
  const uint64_t low = (word() & ~(3ULL << 62)) | 1ULL << 63;  // variant 1
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32, (high >> 16) & 0xFFFF,
                         high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFFULL);
}

}  // namespace lectern::cli
