#include "engine/weights/safetensors_header.h"

#include <limits>
#include <unordered_set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/config/json_file.h"
#include "engine/weights/safetensors.h"
#include "nlohmann/json.hpp"

namespace lectern::weights {
namespace {

using config::Quoted;
using nlohmann::json;

// A state machine over the few shapes a header may have; every other event is an error.
class HeaderReader final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return Unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return Unexpected("a number that is not an integer");
  }
  bool binary(binary_t&) override { return Unexpected("binary"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& value) override;
  bool key(string_t& name) override;
  bool start_object(size_t) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(absl::StrCat("header is not valid JSON at byte ", position));
  }

  const absl::Status& status() const { return status_; }
  std::vector<HeaderEntry> TakeEntries() { return std::move(entries_); }

 private:
  enum class State {
    kStart,         // before the outer {
    kNames,         // in the outer object
    kMetadataOpen,  // after "__metadata__":
    kMetadata,      // in its object
    kEntryOpen,     // after a tensor's name
    kEntry,         // in a tensor's object
    kDtype,
    kShapeOpen,
    kShape,
    kOffsetsOpen,
    kOffsets,
  };
  enum Field : unsigned { kHasDtype = 1, kHasShape = 2, kHasOffsets = 4, kHasAll = 7 };

  bool Fail(const std::string& message) {
    status_ = absl::InvalidArgumentError(message);
    return false;
  }
  bool Unexpected(const char* what) {
    return Fail(absl::StrCat("header: ", what, " is out of place", Where()));
  }
  std::string Where() const {
    const bool in_entry = state_ >= State::kEntryOpen && !entries_.empty();
    return in_entry ? absl::StrCat(" in tensor ", Quoted(entries_.back().name)) : std::string();
  }
  bool StartName(std::string& name);
  bool StartField(const std::string& name);
  bool FinishEntry();

  State state_ = State::kStart;
  std::vector<HeaderEntry> entries_;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> metadata_names_;
  unsigned fields_seen_ = 0;  // of the entry being read
  int offsets_seen_ = 0;
  absl::Status status_;
};

bool HeaderReader::StartName(std::string& name) {
  if (!names_.insert(name).second) {
    return Fail(absl::StrCat("header: ", Quoted(name), " occurs twice"));
  }
  if (name == "__metadata__") {
    state_ = State::kMetadataOpen;
    return true;
  }
  if (entries_.size() == kMaxTensorsPerFile) {
    return Fail(absl::StrCat("header: more than ", kMaxTensorsPerFile, " tensors in one file"));
  }
  entries_.emplace_back();
  entries_.back().name = std::move(name);
  fields_seen_ = 0;
  state_ = State::kEntryOpen;
  return true;
}

bool HeaderReader::StartField(const std::string& name) {
  unsigned field = 0;
  if (name == "dtype") {
    field = kHasDtype;
    state_ = State::kDtype;
  } else if (name == "shape") {
    field = kHasShape;
    state_ = State::kShapeOpen;
  } else if (name == "data_offsets") {
    field = kHasOffsets;
    state_ = State::kOffsetsOpen;
    offsets_seen_ = 0;
  } else {
    return Fail(absl::StrCat("header: unknown field ", Quoted(name), Where()));
  }
  if ((fields_seen_ & field) != 0) {
    return Fail(absl::StrCat("header: field ", Quoted(name), " occurs twice", Where()));
  }
  fields_seen_ |= field;
  return true;
}

bool HeaderReader::FinishEntry() {
  if (fields_seen_ != kHasAll) {
    return Fail(absl::StrCat("header: dtype, shape or data_offsets is missing", Where()));
  }
  state_ = State::kNames;
  return true;
}

bool HeaderReader::key(string_t& name) {
  switch (state_) {
    case State::kNames:
      return StartName(name);
    case State::kEntry:
      return StartField(name);
    case State::kMetadata:
      // Bounded like the tensors: the set is the only memory that metadata could claim.
      if (metadata_names_.size() == kMaxTensorsPerFile) {
        return Fail("header: __metadata__ has too many entries");
      }
      if (metadata_names_.insert(name).second) return true;
      return Fail(absl::StrCat("header: __metadata__ entry ", Quoted(name), " occurs twice"));
    default:
      return Unexpected("a key");
  }
}

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return Unexpected("a number beyond 64 bits");
  }
  const auto number = static_cast<int64_t>(value);
  if (state_ == State::kShape) {
    std::vector<int64_t>& shape = entries_.back().shape;
    if (shape.size() == kMaxRank) {
      return Fail(absl::StrCat("header: more than ", kMaxRank, " dimensions", Where()));
    }
    shape.push_back(number);
    return true;
  }
  if (state_ == State::kOffsets) {
    if (offsets_seen_ == 2) return Unexpected("a third offset");
    (offsets_seen_ == 0 ? entries_.back().begin : entries_.back().end) = number;
    ++offsets_seen_;
    return true;
  }
  return Unexpected("a number");
}

bool HeaderReader::string(string_t& value) {
  if (state_ == State::kMetadata) return true;
  if (state_ != State::kDtype) return Unexpected("a string");
  const std::optional<Dtype> dtype = ParseDtype(value);
  if (!dtype) return Fail(absl::StrCat("header: dtype ", Quoted(value), " is not known", Where()));
  entries_.back().dtype = *dtype;
  state_ = State::kEntry;
  return true;
}

bool HeaderReader::start_object(size_t) {
  switch (state_) {
    case State::kStart:
      state_ = State::kNames;
      return true;
    case State::kMetadataOpen:
      state_ = State::kMetadata;
      return true;
    case State::kEntryOpen:
      state_ = State::kEntry;
      return true;
    default:
      return Unexpected("an object");
  }
}

bool HeaderReader::end_object() {
  switch (state_) {
    case State::kEntry:
      return FinishEntry();
    case State::kMetadata:
      state_ = State::kNames;
      return true;
    case State::kNames:
      return true;  // the outer object: the parser itself refuses what follows but white space
    default:
      return Unexpected("a closing brace");
  }
}

bool HeaderReader::start_array(size_t) {
  switch (state_) {
    case State::kShapeOpen:
      state_ = State::kShape;
      return true;
    case State::kOffsetsOpen:
      state_ = State::kOffsets;
      return true;
    default:
      return Unexpected("an array");
  }
}

bool HeaderReader::end_array() {
  if (state_ == State::kOffsets && offsets_seen_ != 2) {
    return Fail(absl::StrCat("header: data_offsets must hold two numbers", Where()));
  }
  state_ = State::kEntry;
  return true;
}

}  // namespace

absl::StatusOr<std::vector<HeaderEntry>> ParseSafetensorsHeader(std::string_view header) {
  if (header.empty() || header.front() != '{') {
    return absl::InvalidArgumentError("header does not begin with '{'");
  }
  HeaderReader reader;
  if (!json::sax_parse(header.begin(), header.end(), &reader)) {
    return reader.status().ok() ? absl::InvalidArgumentError("header is not valid JSON")
                                : reader.status();
  }
  return reader.TakeEntries();
}

}  // namespace lectern::weights
