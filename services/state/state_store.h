#pragma once
// Durable state of the front end as ordered key-value pairs. One box: RocksDB with its log on.
// Later PostgreSQL behind the same interface. Values are serialised protobufs or raw bytes; the
// callers own the key scheme.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lectern::state {

// kSynced: survives power loss when the call returns (acknowledgements, ends of answers).
// kLogged: survives a kill of the process, not power loss (token events: a resumed answer writes
// them again).
enum class Durability { kLogged, kSynced };

struct Mutation {
  std::string key;
  std::optional<std::string> value;  // nullopt deletes
};

// Thread safe.
class StateStore {
 public:
  virtual ~StateStore() = default;
  // All or nothing. ResourceExhausted: disk full. DataLoss: the store is damaged.
  virtual absl::Status Write(const std::vector<Mutation>& mutations, Durability durability) = 0;
  // NotFound.
  virtual absl::StatusOr<std::string> Get(std::string_view key) const = 0;
  // Calls `visit` for keys in [begin, end) in order until it returns false. Empty `end`: no bound.
  virtual absl::Status Scan(
      std::string_view begin, std::string_view end,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
};

// Opens or creates the store in `directory`. FailedPrecondition: another process holds it.
absl::StatusOr<std::unique_ptr<StateStore>> OpenRocksDbStateStore(const std::string& directory);

// In memory, for tests and the loopback fakes; Write can be made to fail.
std::unique_ptr<StateStore> MakeMemoryStateStore();

// The smallest key that is greater than every key with this prefix.
std::string PrefixEnd(std::string_view prefix);

}  // namespace lectern::state
