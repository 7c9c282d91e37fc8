#include "services/frontend/request_log.h"

#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/frontend/state_keys.h"

namespace lectern::frontend {
namespace {

constexpr int64_t kKeptSeconds = 24 * 3600;
// A record: 8 bytes of expiry (seconds since the epoch, little endian), 32 of SHA-256 of the
// request, the reply.
constexpr size_t kExpiryBytes = 8;
constexpr size_t kHeaderBytes = kExpiryBytes + 32;

int64_t WallSeconds(const base::Clock& clock) {
  return std::chrono::duration_cast<std::chrono::seconds>(clock.WallNow()).count();
}

std::string Digest(std::string_view bytes) {
  base::Sha256 sha;
  sha.Update(bytes);
  const base::Sha256Digest digest = sha.Finish();
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

int64_t Expiry(std::string_view record) {
  uint64_t value = 0;
  for (size_t i = kExpiryBytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(record[i]);
  return static_cast<int64_t>(value);
}

std::string MakeRecord(int64_t expiry, std::string_view request, std::string_view reply) {
  std::string record;
  for (size_t i = 0; i < kExpiryBytes; ++i) {
    record.push_back(static_cast<char>(static_cast<uint64_t>(expiry) >> (8 * i) & 0xff));
  }
  record += Digest(request);
  record += reply;
  return record;
}

}  // namespace

RequestLog::RequestLog(state::StateStore& store, const base::Clock& clock)
    : store_(store), clock_(clock) {}

absl::StatusOr<std::optional<std::string>> RequestLog::Find(const std::string& key,
                                                            std::string_view request) const {
  const absl::StatusOr<std::string> record = store_.Get(key);
  if (absl::IsNotFound(record.status())) return std::optional<std::string>();
  if (!record.ok()) return record.status();
  if (record->size() < kHeaderBytes || Expiry(*record) <= WallSeconds(clock_)) {
    return std::optional<std::string>();
  }
  if (record->compare(kExpiryBytes, 32, Digest(request)) != 0) {
    return common::MakeError(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
                             "this request_id came with a different request before");
  }
  return std::optional<std::string>(record->substr(kHeaderBytes));
}

absl::StatusOr<std::string> RequestLog::Once(
    std::string_view method, std::string_view request_id, std::string_view request,
    const std::function<absl::StatusOr<std::string>(const Remember&)>& work) {
  if (request_id.empty()) {
    return work([](std::string_view, std::vector<state::Mutation>&) {});
  }
  const std::lock_guard lock(stripes_[std::hash<std::string_view>()(request_id) % stripes_.size()]);
  const std::string key = keys::Request(method, request_id);
  ASSIGN_OR_RETURN(std::optional<std::string> stored, Find(key, request));
  if (stored) return *std::move(stored);
  return work([&](std::string_view reply, std::vector<state::Mutation>& mutations) {
    mutations.push_back({key, MakeRecord(WallSeconds(clock_) + kKeptSeconds, request, reply)});
  });
}

absl::Status RequestLog::Sweep() {
  const int64_t now = WallSeconds(clock_);
  std::vector<state::Mutation> expired;
  RETURN_IF_ERROR(store_.Scan(keys::kRequests, state::PrefixEnd(keys::kRequests),
                              [&](std::string_view key, std::string_view record) {
                                if (record.size() < kHeaderBytes || Expiry(record) <= now) {
                                  expired.push_back({std::string(key), std::nullopt});
                                }
                                return true;
                              }));
  if (expired.empty()) return absl::OkStatus();
  return store_.Write(expired, state::Durability::kLogged);
}

}  // namespace lectern::frontend
