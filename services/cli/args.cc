#include "services/cli/args.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/check.h"
#include "engine/base/status.h"

namespace lectern::cli {
namespace {

const Flag* FindFlag(const CommandSpec& spec, std::string_view name) {
  for (const Flag& flag : spec.flags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

absl::Status Usage(std::string message) { return absl::InvalidArgumentError(std::move(message)); }

std::string NumberText(double value) {
  return value == std::floor(value) ? absl::StrCat(static_cast<int64_t>(value))
                                    : absl::StrCat(value);
}

absl::Status CheckRange(const Flag& flag, double value) {
  if (value >= flag.min && value <= flag.max) return absl::OkStatus();
  return Usage(absl::StrCat("--", flag.name, ": ", NumberText(value), " is outside [",
                            NumberText(flag.min), ", ", NumberText(flag.max), "]"));
}

absl::Status CheckValue(const Flag& flag, const std::string& value) {
  switch (flag.kind) {
    case FlagKind::kInteger: {
      int64_t number = 0;
      if (!absl::SimpleAtoi(value, &number)) {
        return Usage(absl::StrCat("--", flag.name, ": '", value, "' is not an integer"));
      }
      return CheckRange(flag, static_cast<double>(number));
    }
    case FlagKind::kReal: {
      double number = 0;
      if (!absl::SimpleAtod(value, &number) || std::isnan(number)) {
        return Usage(absl::StrCat("--", flag.name, ": '", value, "' is not a number"));
      }
      return CheckRange(flag, number);
    }
    case FlagKind::kChoice:
      if (std::find(flag.choices.begin(), flag.choices.end(), value) != flag.choices.end()) break;
      return Usage(absl::StrCat("--", flag.name, ": '", value, "' is not one of ",
                                absl::StrJoin(flag.choices, ", ")));
    case FlagKind::kSwitch:
    case FlagKind::kText:
    case FlagKind::kPath:
      break;
  }
  return absl::OkStatus();
}

absl::Status UnknownFlag(const CommandSpec& spec, const std::string& name) {
  std::vector<std::string> known = {"help"};
  for (const Flag& flag : spec.flags) known.push_back(flag.name);
  const std::string nearest = NearestWord(name, known);
  return Usage(
      absl::StrCat("unknown flag --", name,
                   nearest.empty() ? "" : absl::StrCat("; did you mean --", nearest, "?")));
}

absl::Status CheckPositionals(const CommandSpec& spec, size_t count) {
  if (static_cast<int>(count) < spec.positionals_min) {
    return Usage(absl::StrCat("missing argument: expected ", spec.positionals));
  }
  if (spec.positionals_max >= 0 && static_cast<int>(count) > spec.positionals_max) {
    return Usage(spec.positionals.empty()
                     ? std::string("takes no arguments")
                     : absl::StrCat("too many arguments: expected ", spec.positionals));
  }
  return absl::OkStatus();
}

// Levenshtein distance, for words of a few letters.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::string FlagColumn(const Flag& flag) {
  std::string text = absl::StrCat("--", flag.name);
  if (flag.kind == FlagKind::kChoice) {
    absl::StrAppend(&text, " ", absl::StrJoin(flag.choices, "|"));
  } else if (flag.kind != FlagKind::kSwitch) {
    absl::StrAppend(&text, " ", flag.value_name);
  }
  return text;
}

}  // namespace

Flag Switch(std::string name, std::string help) {
  return {.name = std::move(name),
          .kind = FlagKind::kSwitch,
          .value_name = "",
          .help = std::move(help)};
}
Flag Text(std::string name, std::string value_name, std::string help) {
  return {.name = std::move(name),
          .kind = FlagKind::kText,
          .value_name = std::move(value_name),
          .help = std::move(help)};
}
Flag Path(std::string name, std::string value_name, std::string help) {
  Flag flag = Text(std::move(name), std::move(value_name), std::move(help));
  flag.kind = FlagKind::kPath;
  return flag;
}
Flag Integer(std::string name, std::string help, int64_t min, int64_t max) {
  Flag flag = Text(std::move(name), "N", std::move(help));
  flag.kind = FlagKind::kInteger;
  flag.min = static_cast<double>(min);
  flag.max = static_cast<double>(max);
  return flag;
}
Flag Real(std::string name, std::string help, double min, double max) {
  Flag flag = Text(std::move(name), "X", std::move(help));
  flag.kind = FlagKind::kReal;
  flag.min = min;
  flag.max = max;
  return flag;
}
Flag Choice(std::string name, std::vector<std::string> choices, std::string help) {
  Flag flag = Text(std::move(name), "", std::move(help));
  flag.kind = FlagKind::kChoice;
  flag.choices = std::move(choices);
  return flag;
}
Flag Repeated(Flag flag) {
  flag.repeated = true;
  return flag;
}

absl::StatusOr<Args> Args::Parse(const CommandSpec& spec, std::span<const std::string> words) {
  Args args;
  args.spec_ = &spec;
  for (const std::string& word : words) {
    if (word == "--") break;
    if (word == "--help" || word == "-h") {
      args.help_ = true;
      return args;
    }
  }
  bool flags_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (flags_ended || word.size() < 2 || word[0] != '-') {
      args.positionals_.push_back(word);
      continue;
    }
    if (word == "--") {
      flags_ended = true;
      continue;
    }
    if (word[1] != '-') return Usage(absl::StrCat("unknown flag ", word, "; flags begin with --"));
    const size_t equals = word.find('=');
    const std::string name =
        word.substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
    const Flag* flag = FindFlag(spec, name);
    if (flag == nullptr) return UnknownFlag(spec, name);
    std::string value;
    if (flag->kind == FlagKind::kSwitch) {
      if (equals != std::string::npos) return Usage(absl::StrCat("--", name, " takes no value"));
    } else if (equals != std::string::npos) {
      value = word.substr(equals + 1);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      return Usage(absl::StrCat("--", name, " needs a value: ", FlagColumn(*flag)));
    }
    RETURN_IF_ERROR(CheckValue(*flag, value));
    args.values_[name].push_back(std::move(value));
  }
  RETURN_IF_ERROR(CheckPositionals(spec, args.positionals_.size()));
  return args;
}

std::optional<std::string> Args::Last(std::string_view flag) const {
  LECTERN_CHECK(FindFlag(*spec_, flag) != nullptr);
  const auto found = values_.find(flag);
  if (found == values_.end()) return std::nullopt;
  return found->second.back();
}

bool Args::Has(std::string_view flag) const { return Last(flag).has_value(); }

std::string Args::Text(std::string_view flag, std::string_view otherwise) const {
  return Last(flag).value_or(std::string(otherwise));
}

int64_t Args::Integer(std::string_view flag, int64_t otherwise) const {
  const std::optional<std::string> text = Last(flag);
  int64_t value = otherwise;
  if (text.has_value()) LECTERN_CHECK(absl::SimpleAtoi(*text, &value));  // checked by Parse
  return value;
}

double Args::Real(std::string_view flag, double otherwise) const {
  const std::optional<std::string> text = Last(flag);
  double value = otherwise;
  if (text.has_value()) LECTERN_CHECK(absl::SimpleAtod(*text, &value));
  return value;
}

std::vector<std::string> Args::All(std::string_view flag) const {
  LECTERN_CHECK(FindFlag(*spec_, flag) != nullptr);
  const auto found = values_.find(flag);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::string HelpText(const CommandSpec& spec) {
  std::string text = absl::StrCat("lectern ", spec.name, ": ", spec.summary, "\n\nusage: lectern ",
                                  spec.name, spec.flags.empty() ? "" : " [flags]",
                                  spec.positionals.empty() ? "" : " ", spec.positionals, "\n");
  if (!spec.details.empty()) absl::StrAppend(&text, "\n", spec.details, "\n");
  constexpr size_t kHelpColumn = 30;
  if (!spec.flags.empty()) absl::StrAppend(&text, "\nflags:\n");
  for (const Flag& flag : spec.flags) {
    std::string column = absl::StrCat("  ", FlagColumn(flag));
    if (column.size() + 2 > kHelpColumn) {
      absl::StrAppend(&text, column, "\n", std::string(kHelpColumn, ' '), flag.help, "\n");
    } else {
      column.resize(kHelpColumn, ' ');
      absl::StrAppend(&text, column, flag.help, "\n");
    }
  }
  absl::StrAppend(&text, "\nexample:\n  ", spec.example, "\n");
  return text;
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  // Two, so that swapped letters are near.
  size_t best_distance = (word.size() < 4 ? 1 : std::max<size_t>(2, word.size() / 3)) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace lectern::cli
