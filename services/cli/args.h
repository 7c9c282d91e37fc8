#pragma once
// Command-line arguments: what a command accepts is declared once, as a table; parsing, --help and
// shell completion read the same table. Values are checked while parsing, so that a command reads
// them without a second thought.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lectern::cli {

enum class FlagKind { kSwitch, kText, kPath, kInteger, kReal, kChoice };

struct Flag {
  std::string name;  // without dashes
  FlagKind kind = FlagKind::kSwitch;
  std::string value_name;  // shown in help: "DIR"
  std::string help;        // with the default, where there is one
  std::vector<std::string> choices = {};
  double min = -9e15;  // kInteger and kReal, inclusive
  double max = 9e15;
  bool repeated = false;  // the last value counts unless it is
};

Flag Switch(std::string name, std::string help);
Flag Text(std::string name, std::string value_name, std::string help);
Flag Path(std::string name, std::string value_name, std::string help);
Flag Integer(std::string name, std::string help, int64_t min, int64_t max);
Flag Real(std::string name, std::string help, double min, double max);
Flag Choice(std::string name, std::vector<std::string> choices, std::string help);
Flag Repeated(Flag flag);

struct CommandSpec {
  std::string name;         // "ask", "job watch"
  std::string summary;      // one line, lower case, no full stop
  std::string positionals;  // "FILE... QUESTION"; empty: none
  int positionals_min = 0;
  int positionals_max = 0;  // -1: no bound
  std::vector<Flag> flags;
  std::string details;  // paragraphs of the help text
  std::string example;  // whole command lines
};

// Flags and positionals of one call. Getters of flags that the command does not declare are our own
// fault (CHECK).
class Args {
 public:
  // InvalidArgument: an unknown flag (with the nearest known one), a value that does not parse or
  // is out of range, too few or too many positionals. `--` ends the flags; `--name value` and
  // `--name=value` are the same.
  static absl::StatusOr<Args> Parse(const CommandSpec& spec, std::span<const std::string> words);

  bool Has(std::string_view flag) const;
  std::string Text(std::string_view flag, std::string_view otherwise = "") const;
  int64_t Integer(std::string_view flag, int64_t otherwise) const;
  double Real(std::string_view flag, double otherwise) const;
  std::vector<std::string> All(std::string_view flag) const;
  const std::vector<std::string>& positionals() const { return positionals_; }
  bool json() const { return Has("json"); }
  // --help was given: nothing else has been checked.
  bool help() const { return help_; }

 private:
  std::optional<std::string> Last(std::string_view flag) const;

  const CommandSpec* spec_ = nullptr;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> positionals_;
  bool help_ = false;
};

// What `lectern NAME --help` prints.
std::string HelpText(const CommandSpec& spec);

// The word of `known` that is nearest to `word`, or empty where none is near.
std::string NearestWord(std::string_view word, const std::vector<std::string>& known);

}  // namespace lectern::cli
