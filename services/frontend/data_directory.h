#pragma once
// One process holds a data directory: server.lock is held by flock, and says where that process
// listens.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lectern::frontend {

// Held until it dies, or the process does.
class DataDirectoryLock {
 public:
  // Makes the directory where it does not exist. FailedPrecondition: another process holds it, with
  // its address.
  static absl::StatusOr<std::unique_ptr<DataDirectoryLock>> Acquire(const std::string& directory);
  ~DataDirectoryLock();
  // Empty: the process has no port.
  absl::Status PublishAddress(const std::string& address);

 private:
  explicit DataDirectoryLock(int file) : file_(file) {}
  int file_;
};

}  // namespace lectern::frontend
