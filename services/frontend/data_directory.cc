#include "services/frontend/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "services/common/error_details.h"
#include "services/frontend/server.h"

namespace lectern::frontend {
namespace {

std::string LockPath(const std::string& directory) { return directory + "/server.lock"; }

std::string ReadAddress(int file) {
  char text[256];
  const ssize_t size = pread(file, text, sizeof text, 0);
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : std::string();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectoryLock>> DataDirectoryLock::Acquire(
    const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the data directory ", directory, ": ", error.message()));
  }
  const int file = open(LockPath(directory).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot open ", LockPath(directory), ": ", std::strerror(errno)));
  }
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const std::string address = ReadAddress(file);
    close(file);
    return common::PreconditionFailed(
        "DATA_DIRECTORY_IN_USE", directory,
        absl::StrCat("another process holds ", directory,
                     address.empty() ? "" : absl::StrCat(" and listens on ", address)),
        {{"address", address}});
  }
  if (ftruncate(file, 0) != 0) {
    close(file);
    return absl::FailedPreconditionError(absl::StrCat("cannot write ", LockPath(directory)));
  }
  return std::unique_ptr<DataDirectoryLock>(new DataDirectoryLock(file));
}

DataDirectoryLock::~DataDirectoryLock() {
  // The file stays: removing it would let two processes lock two files of one name.
  static_cast<void>(ftruncate(file_, 0));
  close(file_);
}

absl::Status DataDirectoryLock::PublishAddress(const std::string& address) {
  if (pwrite(file_, address.data(), address.size(), 0) != static_cast<ssize_t>(address.size())) {
    return absl::UnavailableError("cannot write the address into server.lock");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FindServer(const std::string& data_directory) {
  const int file = open(LockPath(data_directory).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return absl::NotFoundError(absl::StrCat("no server holds ", data_directory));
  // A lock that can be had is nobody's.
  const bool free = flock(file, LOCK_SH | LOCK_NB) == 0;
  const std::string address = ReadAddress(file);
  close(file);
  if (free) return absl::NotFoundError(absl::StrCat("no server holds ", data_directory));
  if (address.empty()) {
    return absl::UnavailableError(absl::StrCat("a process without a port holds ", data_directory,
                                               ", or one that is starting"));
  }
  return address;
}

}  // namespace lectern::frontend
