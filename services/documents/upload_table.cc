#include "services/documents/upload_table.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/documents/crc32c.h"
#include "services/documents/document_keys.h"
#include "services/documents/mime_type.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

using common::MakeError;

constexpr size_t kDisplayNameBytesMax = 1024;
constexpr size_t kRequestIdBytesMax = 128;
// A chunk counts for at least this much against the bound, so that a million of one byte each are
// not for free.
constexpr int64_t kChunkChargeMin = 4096;
constexpr int64_t kSweepSeconds = 3600;

int64_t WallSeconds(const base::Clock& clock) {
  return std::chrono::duration_cast<std::chrono::seconds>(clock.WallNow()).count();
}

bool HasEnded(const stored::v1::Upload& record) {
  return !record.document().empty() || record.has_error();
}

absl::Status UploadNotFound(const std::string& upload_id) {
  return MakeError(
      absl::StatusCode::kNotFound, "UPLOAD_NOT_FOUND",
      absl::StrCat("upload ", upload_id.substr(0, 64), " does not exist or has expired"));
}

absl::Status WrongOffset(int64_t offset, int64_t committed) {
  return MakeError(
      absl::StatusCode::kOutOfRange, "UPLOAD_OFFSET",
      absl::StrCat("the chunk begins at ", offset, ", the committed size is ", committed),
      {{"committed_size", std::to_string(committed)}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<UploadTable>> UploadTable::Create(
    state::StateStore& state, const base::Clock& clock, const DocumentStoreOptions& options) {
  std::unique_ptr<UploadTable> table(new UploadTable(state, clock, options));
  RETURN_IF_ERROR(table->Load());
  RETURN_IF_ERROR(table->Sweep());
  return table;
}

absl::Status UploadTable::Load() {
  absl::Status damaged;
  RETURN_IF_ERROR(state_.Scan(
      kUploadPrefix, state::PrefixEnd(kUploadPrefix),
      [&](std::string_view key, std::string_view value) {
        auto entry = std::make_shared<Entry>();
        const std::string id(key.substr(kUploadPrefix.size()));
        if (!entry->record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          damaged = absl::DataLossError(absl::StrCat("the record of upload ", id, " is damaged"));
          return false;
        }
        if (!entry->record.request().request_id().empty()) {
          by_request_[entry->record.request().request_id()] = id;
        }
        pending_bytes_ += entry->record.charged_bytes();
        uploads_[id] = std::move(entry);
        return true;
      }));
  return damaged;
}

absl::Status UploadTable::Sweep() {
  const int64_t now = WallSeconds(clock_);
  std::vector<std::string> expired;
  {
    std::lock_guard lock(mutex_);
    if (now < next_sweep_s_) return absl::OkStatus();
    next_sweep_s_ = now + kSweepSeconds;
    for (const auto& [id, entry] : uploads_) {
      std::lock_guard record_lock(entry->record_mutex);
      if (entry->record.create_time().seconds() + options_.upload_seconds_max <= now)
        expired.push_back(id);
    }
  }
  for (const std::string& id : expired) RETURN_IF_ERROR(Remove(id));
  return absl::OkStatus();
}

absl::Status UploadTable::Remove(const std::string& upload_id) {
  std::shared_ptr<Entry> entry;
  {
    std::lock_guard lock(mutex_);
    const auto found = uploads_.find(upload_id);
    if (found == uploads_.end()) return absl::OkStatus();
    entry = found->second;
  }
  std::unique_lock busy(entry->busy, std::try_to_lock);
  if (!busy.owns_lock()) return absl::OkStatus();
  std::vector<state::Mutation> mutations = {{UploadKey(upload_id), std::nullopt}};
  const std::string prefix = ChunkPrefix(upload_id);
  RETURN_IF_ERROR(
      state_.Scan(prefix, state::PrefixEnd(prefix), [&](std::string_view key, std::string_view) {
        mutations.push_back({std::string(key), std::nullopt});
        return true;
      }));
  RETURN_IF_ERROR(state_.Write(mutations, state::Durability::kLogged));
  std::lock_guard lock(mutex_);
  std::lock_guard record_lock(entry->record_mutex);
  pending_bytes_ -= entry->record.charged_bytes();
  entry->record.set_charged_bytes(0);
  const std::string& request_id = entry->record.request().request_id();
  const auto by_request = by_request_.find(request_id);
  if (by_request != by_request_.end() && by_request->second == upload_id)
    by_request_.erase(by_request);
  uploads_.erase(upload_id);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<UploadTable::Entry>> UploadTable::Find(
    const std::string& upload_id) const {
  const int64_t now = WallSeconds(clock_);
  std::lock_guard lock(mutex_);
  const auto found = uploads_.find(upload_id);
  if (found == uploads_.end()) return UploadNotFound(upload_id);
  std::lock_guard record_lock(found->second->record_mutex);
  const int64_t created = found->second->record.create_time().seconds();
  if (created + options_.upload_seconds_max <= now) return UploadNotFound(upload_id);
  return found->second;
}

absl::Status UploadTable::CheckStart(const v1::StartUploadRequest& request) const {
  common::FieldViolations violations;
  const auto type = CanonicalMimeType(request.mime_type());
  if (!type.ok()) violations.Add("mime_type", base::ToStd(type.status().message()));
  if (type.ok() && type->empty()) {
    const absl::Status named = RefuseByName(request.display_name());
    if (!named.ok()) violations.Add("display_name", base::ToStd(named.message()));
  }
  if (request.display_name().size() > kDisplayNameBytesMax) {
    violations.Add("display_name", "longer than 1024 bytes");
  }
  if (request.request_id().size() > kRequestIdBytesMax) {
    violations.Add("request_id", "longer than 128 bytes");
  }
  if (request.size() < 0) violations.Add("size", "negative");
  if (request.size() > options_.source_bytes_max) {
    violations.Add("size",
                   "beyond the limit of " + std::to_string(options_.source_bytes_max) + " bytes");
  }
  return violations.ToStatus();
}

absl::StatusOr<v1::StartUploadResponse> UploadTable::Start(const v1::StartUploadRequest& request) {
  RETURN_IF_ERROR(CheckStart(request));
  RETURN_IF_ERROR(Sweep());
  // One at a time, so that two calls with one request_id get one upload.
  std::lock_guard starting(start_mutex_);
  v1::StartUploadResponse response;
  response.set_chunk_bytes_max(options_.chunk_bytes_max);
  {
    std::lock_guard lock(mutex_);
    const auto same = by_request_.find(request.request_id());
    if (!request.request_id().empty() && same != by_request_.end()) {
      response.set_upload_id(same->second);
      return response;
    }
    const auto open = std::count_if(uploads_.begin(), uploads_.end(), [](const auto& upload) {
      std::lock_guard record_lock(upload.second->record_mutex);
      return !HasEnded(upload.second->record);
    });
    if (open >= options_.pending_uploads_max) {
      return common::Overloaded("UPLOADS_PENDING", "too many unfinished uploads",
                                std::chrono::minutes(1));
    }
  }
  auto entry = std::make_shared<Entry>();
  *entry->record.mutable_request() = request;
  entry->record.mutable_create_time()->set_seconds(WallSeconds(clock_));
  const std::string id = MakeUploadId();
  RETURN_IF_ERROR(state_.Write({{UploadKey(id), entry->record.SerializeAsString()}},
                               state::Durability::kSynced));
  std::lock_guard lock(mutex_);
  if (!request.request_id().empty()) by_request_[request.request_id()] = id;
  uploads_[id] = std::move(entry);
  response.set_upload_id(id);
  return response;
}

absl::Status UploadTable::Append(const std::string& upload_id,
                                 const v1::UploadRequest::Chunk& chunk) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Entry> entry, Find(upload_id));
  if (chunk.offset() < 0) return common::InvalidField("chunk.offset", "negative");
  if (static_cast<int64_t>(chunk.data().size()) > options_.chunk_bytes_max) {
    return common::InvalidField("chunk.data", "more than chunk_bytes_max");
  }
  if (Crc32c(chunk.data()) != chunk.crc32c()) {
    return MakeError(absl::StatusCode::kDataLoss, "CHUNK_CHECKSUM",
                     absl::StrCat("the chunk at ", chunk.offset(), " was damaged on its way"));
  }
  // Two streams of one upload, or a chunk behind a Finish: the later one comes again.
  std::unique_lock busy(entry->busy, std::chrono::seconds(5));
  if (!busy.owns_lock()) {
    return MakeError(absl::StatusCode::kAborted, "UPLOAD_BUSY",
                     "another call works on this upload");
  }
  return AppendLocked(upload_id, *entry, chunk);
}

absl::Status UploadTable::AppendLocked(const std::string& upload_id, Entry& entry,
                                       const v1::UploadRequest::Chunk& chunk) {
  stored::v1::Upload record = entry.record;  // only holders of `busy` change it
  if (HasEnded(record)) {
    return common::PreconditionFailed("UPLOAD_ENDED", upload_id, "the upload has ended");
  }
  const int64_t committed = record.committed_size();
  const auto size = static_cast<int64_t>(chunk.data().size());
  if (chunk.offset() > committed ||
      (chunk.offset() < committed && chunk.offset() + size > committed)) {
    return WrongOffset(chunk.offset(), committed);
  }
  if (size == 0) return absl::OkStatus();
  if (chunk.offset() < committed) {
    ASSIGN_OR_RETURN(const bool same, StoredEquals(upload_id, chunk.offset(), chunk.data()));
    if (same) return absl::OkStatus();
    return common::InvalidField("chunk.data", "differs from what was committed at this offset");
  }
  const int64_t declared = record.request().size();
  if (declared > 0 && committed + size > declared) {
    return common::InvalidField("chunk.data", "goes beyond the declared size");
  }
  if (committed + size > options_.source_bytes_max) {
    return common::InvalidField(
        "chunk.data",
        "goes beyond the limit of " + std::to_string(options_.source_bytes_max) + " bytes");
  }
  const int64_t charge = std::max(size, kChunkChargeMin);
  RETURN_IF_ERROR(ReserveBytes(charge));
  record.set_committed_size(committed + size);
  record.set_charged_bytes(record.charged_bytes() + charge);
  const absl::Status written = state_.Write({{ChunkKey(upload_id, committed), chunk.data()},
                                             {UploadKey(upload_id), record.SerializeAsString()}},
                                            state::Durability::kSynced);
  if (!written.ok()) {
    ReleaseBytes(charge);
    return written;
  }
  std::lock_guard lock(entry.record_mutex);
  entry.record = std::move(record);
  return absl::OkStatus();
}

absl::StatusOr<bool> UploadTable::StoredEquals(const std::string& upload_id, int64_t offset,
                                               const std::string& data) const {
  const int64_t end = offset + static_cast<int64_t>(data.size());
  // The stored chunks need not begin where this one does; none is longer than the limit.
  const int64_t first = std::max<int64_t>(0, offset - options_.chunk_bytes_max);
  int64_t compared = 0;
  bool same = true;
  RETURN_IF_ERROR(state_.Scan(
      ChunkKey(upload_id, first), ChunkKey(upload_id, end),
      [&](std::string_view key, std::string_view value) {
        const int64_t begin = ChunkOffset(key);
        const int64_t from = std::max(begin, offset);
        const int64_t to = std::min(begin + static_cast<int64_t>(value.size()), end);
        if (from >= to) return true;
        const auto length = static_cast<size_t>(to - from);
        same = value.substr(static_cast<size_t>(from - begin), length) ==
               std::string_view(data).substr(static_cast<size_t>(from - offset), length);
        compared += to - from;
        return same;
      }));
  return same && compared == static_cast<int64_t>(data.size());
}

absl::Status UploadTable::ReserveBytes(int64_t bytes) {
  std::lock_guard lock(mutex_);
  if (pending_bytes_ + bytes > options_.pending_upload_bytes_max) {
    return common::Overloaded("UPLOAD_BYTES_PENDING", "unfinished uploads hold too many bytes",
                              std::chrono::minutes(1));
  }
  pending_bytes_ += bytes;
  return absl::OkStatus();
}

void UploadTable::ReleaseBytes(int64_t bytes) {
  std::lock_guard lock(mutex_);
  pending_bytes_ -= bytes;
}

absl::StatusOr<v1::QueryUploadResponse> UploadTable::Query(const std::string& upload_id) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Entry> entry, Find(upload_id));
  std::lock_guard lock(entry->record_mutex);
  v1::QueryUploadResponse response;
  response.set_committed_size(entry->record.committed_size());
  response.set_document(entry->record.document());
  return response;
}

absl::StatusOr<UploadTable::Claim> UploadTable::ClaimUpload(
    const std::string& upload_id, const std::function<bool()>& cancelled) {
  ASSIGN_OR_RETURN(std::shared_ptr<Entry> entry, Find(upload_id));
  Claim claim(*this, upload_id, std::move(entry));
  while (!claim.lock_.try_lock_for(std::chrono::milliseconds(50))) {
    if (cancelled && cancelled())
      return absl::CancelledError("waiting for the upload was cancelled");
  }
  return claim;
}

UploadTable::Claim::Claim(UploadTable& table, std::string id, std::shared_ptr<Entry> entry)
    : table_(&table),
      id_(std::move(id)),
      entry_(std::move(entry)),
      lock_(entry_->busy, std::defer_lock) {}

const stored::v1::Upload& UploadTable::Claim::record() const { return entry_->record; }

absl::StatusOr<std::string> UploadTable::Claim::ReadSource(
    const v1::UploadRequest::Finish& finish, const std::function<bool()>& cancelled) const {
  const int64_t committed = record().committed_size();
  const int64_t declared = record().request().size();
  if (declared > 0 && finish.size() != declared) {
    return common::InvalidField("finish.size", "is not the size that StartUpload declared");
  }
  if (committed != finish.size()) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "UPLOAD_INCOMPLETE",
        absl::StrCat("the committed size is ", committed, " of ", finish.size(), " bytes"),
        {{"committed_size", std::to_string(committed)}});
  }
  std::string source;
  source.reserve(static_cast<size_t>(committed));
  base::Sha256 hash;
  bool contiguous = true;
  bool stopped = false;
  const std::string prefix = ChunkPrefix(id_);
  RETURN_IF_ERROR(table_->state_.Scan(
      prefix, state::PrefixEnd(prefix), [&](std::string_view key, std::string_view value) {
        stopped = cancelled && cancelled();
        contiguous = ChunkOffset(key) == static_cast<int64_t>(source.size());
        if (stopped || !contiguous) return false;
        source += value;
        hash.Update(value);
        return true;
      }));
  if (stopped) return absl::CancelledError("finishing the upload was cancelled");
  if (!contiguous || static_cast<int64_t>(source.size()) != committed) {
    return absl::DataLossError("stored chunks of the upload are missing");
  }
  if (base::ToHex(hash.Finish()) != AsciiToLower(finish.sha256())) {
    return MakeError(absl::StatusCode::kDataLoss, "UPLOAD_CHECKSUM",
                     "the SHA-256 of the bytes received is not the one that was sent");
  }
  return source;
}

absl::StatusOr<std::vector<state::Mutation>> UploadTable::Claim::Replace(
    const stored::v1::Upload& ended) const {
  std::vector<state::Mutation> mutations = {{UploadKey(id_), ended.SerializeAsString()}};
  const std::string prefix = ChunkPrefix(id_);
  RETURN_IF_ERROR(table_->state_.Scan(prefix, state::PrefixEnd(prefix),
                                      [&](std::string_view key, std::string_view) {
                                        mutations.push_back({std::string(key), std::nullopt});
                                        return true;
                                      }));
  return mutations;
}

void UploadTable::Claim::Replaced(stored::v1::Upload ended) {
  table_->ReleaseBytes(record().charged_bytes());
  std::lock_guard lock(entry_->record_mutex);
  entry_->record = std::move(ended);
}

stored::v1::Upload UploadTable::Claim::EndedRecord() const {
  stored::v1::Upload ended = record();
  ended.set_charged_bytes(0);
  return ended;
}

absl::StatusOr<std::vector<state::Mutation>> UploadTable::Claim::End(
    const std::string& document) const {
  stored::v1::Upload ended = EndedRecord();
  ended.set_document(document);
  return Replace(ended);
}

void UploadTable::Claim::Ended(const std::string& document) {
  stored::v1::Upload ended = EndedRecord();
  ended.set_document(document);
  Replaced(std::move(ended));
}

absl::Status UploadTable::Claim::Refuse(const absl::Status& error) {
  stored::v1::Upload ended = EndedRecord();
  *ended.mutable_error() = common::ToRpcStatus(error);
  ASSIGN_OR_RETURN(const auto mutations, Replace(ended));
  RETURN_IF_ERROR(table_->state_.Write(mutations, state::Durability::kSynced));
  Replaced(std::move(ended));
  return error;
}

}  // namespace lectern::documents
