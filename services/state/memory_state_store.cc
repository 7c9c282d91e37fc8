#include "services/state/memory_state_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"

namespace lectern::state {

void MemoryStateStore::Apply(const std::vector<Mutation>& mutations, Map& map) {
  for (const Mutation& mutation : mutations) {
    if (mutation.value.has_value()) {
      map.insert_or_assign(mutation.key, *mutation.value);
    } else {
      map.erase(mutation.key);
    }
  }
}

absl::Status MemoryStateStore::Write(const std::vector<Mutation>& mutations,
                                     Durability durability) {
  std::lock_guard lock(mutex_);
  if (!write_error_.ok() && writes_until_error_-- <= 0) {
    writes_until_error_ = 0;
    return write_error_;
  }
  Apply(mutations, current_);
  unsynced_.insert(unsynced_.end(), mutations.begin(), mutations.end());
  if (durability == Durability::kSynced) {
    // A log is synced up to a point: earlier unsynced writes become durable with it.
    Apply(unsynced_, durable_);
    unsynced_.clear();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> MemoryStateStore::Get(std::string_view key) const {
  std::lock_guard lock(mutex_);
  const auto found = current_.find(key);
  if (found == current_.end()) return absl::NotFoundError("no such key");
  return found->second;
}

absl::Status MemoryStateStore::Scan(
    std::string_view begin, std::string_view end,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  std::vector<std::pair<std::string, std::string>> range;
  {
    std::lock_guard lock(mutex_);
    auto it = current_.lower_bound(begin);
    for (; it != current_.end() && (end.empty() || it->first < end); ++it) range.push_back(*it);
  }
  for (const auto& [key, value] : range) {
    if (!visit(key, value)) break;
  }
  return absl::OkStatus();
}

void MemoryStateStore::FailWrites(absl::Status error, int after) {
  std::lock_guard lock(mutex_);
  write_error_ = std::move(error);
  writes_until_error_ = after;
}

void MemoryStateStore::LosePower() {
  std::lock_guard lock(mutex_);
  current_ = durable_;
  unsynced_.clear();
}

size_t MemoryStateStore::size() const {
  std::lock_guard lock(mutex_);
  return current_.size();
}

std::unique_ptr<StateStore> MakeMemoryStateStore() { return std::make_unique<MemoryStateStore>(); }

}  // namespace lectern::state
