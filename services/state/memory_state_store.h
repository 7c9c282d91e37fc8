#pragma once
// The in-memory twin of the state store, with faults on demand.

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/state/state_store.h"

namespace lectern::state {

// Thread safe. `visit` of Scan runs without the lock, over a copy of the range, so it may call the
// store.
class MemoryStateStore final : public StateStore {
 public:
  absl::Status Write(const std::vector<Mutation>& mutations, Durability durability) override;
  absl::StatusOr<std::string> Get(std::string_view key) const override;
  absl::Status Scan(std::string_view begin, std::string_view end,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override;

  // After `after` more successful writes every Write returns `error` and changes nothing, until
  // called again with OK. A full disk is ResourceExhausted.
  void FailWrites(absl::Status error, int after = 0);
  // What a power cut leaves: everything up to the last kSynced write.
  void LosePower();
  size_t size() const;

 private:
  using Map = std::map<std::string, std::string, std::less<>>;
  static void Apply(const std::vector<Mutation>& mutations, Map& map);

  mutable std::mutex mutex_;
  Map current_;
  Map durable_;                     // current_ without unsynced_
  std::vector<Mutation> unsynced_;  // in order
  absl::Status write_error_;
  int writes_until_error_ = 0;
};

}  // namespace lectern::state
