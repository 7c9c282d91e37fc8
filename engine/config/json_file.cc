#include "engine/config/json_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"

namespace lectern::config {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;

// First pass: syntax, depth and duplicate keys, without building anything.
class StrictnessCheck final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    status_ = absl::InvalidArgumentError(absl::StrCat("key ", Quoted(name), " occurs twice"));
    return false;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    status_ = absl::InvalidArgumentError(absl::StrCat("not valid JSON at byte ", position));
    return false;
  }

  const absl::Status& status() const { return status_; }

 private:
  bool Enter() {
    if (keys_.size() >= kMaxDepth) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("JSON is nested deeper than ", kMaxDepth, " levels"));
      return false;
    }
    keys_.emplace_back();
    return true;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::unordered_set<std::string>> keys_;  // per open object or array
  absl::Status status_;
};

absl::Status FileError(const std::string& path, const char* what) {
  const int error = errno;
  const std::string message = absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  return absl::InvalidArgumentError(message);
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path, int64_t max_bytes) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return FileError(path, "cannot stat");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  if (info.st_size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", info.st_size, " bytes, more than the ", max_bytes, " allowed"));
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(fd, text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(path, "cannot read");
    if (got == 0) break;  // shrunk since fstat: what is there decides
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path, int64_t max_bytes) {
  // Not blocking: a FIFO put in a checkpoint's place must not hang the start.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError(path, "cannot open");
  absl::StatusOr<std::string> text = ReadAll(fd, path, max_bytes);
  ::close(fd);
  return text;
}

absl::StatusOr<json> ParseStrictJson(std::string_view text) {
  StrictnessCheck check;
  if (!json::sax_parse(text.begin(), text.end(), &check)) {
    return check.status().ok() ? absl::InvalidArgumentError("not valid JSON") : check.status();
  }
  json document = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return absl::InvalidArgumentError("not valid JSON");
  return document;
}

std::string Quoted(std::string_view text) {
  constexpr size_t kMaxLength = 200;
  const std::string_view head = text.substr(0, kMaxLength);
  return absl::StrCat("'", absl::CEscape(base::ToAbsl(head)),
                      text.size() > kMaxLength ? "…'" : "'");
}

}  // namespace lectern::config
