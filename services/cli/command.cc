#include "services/cli/command.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"

namespace lectern::cli {
namespace {

void Append(std::vector<Command>& all, std::vector<Command> more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
}

std::string FirstWord(const std::string& name) { return name.substr(0, name.find(' ')); }

std::string Overview() {
  std::string text =
      "lectern answers questions about long documents, again and again, cheaply.\n\n"
      "usage: lectern COMMAND [flags] [arguments]\n\ncommands:\n";
  for (const Command& command : Commands()) {
    std::string column = absl::StrCat("  ", command.spec.name);
    column.resize(std::max<size_t>(column.size() + 1, 18), ' ');
    absl::StrAppend(&text, column, command.spec.summary, "\n");
  }
  absl::StrAppend(
      &text,
      "\nlectern COMMAND --help explains a command, with an example.\n\n"
      "exit codes: 0 done; 1 a question, job, check or request failed; 2 wrong command line;\n"
      "3 no server, model or data directory to work with; 130 interrupted\n\n"
      "example:\n  lectern ask manual.pdf \"Who may open the valve?\"\n");
  return text;
}

// The commands of a group such as "doc".
std::string GroupHelp(const std::string& group) {
  std::string text = absl::StrCat("usage: lectern ", group, " COMMAND [flags] [arguments]\n\n");
  for (const Command& command : Commands()) {
    if (FirstWord(command.spec.name) != group) continue;
    std::string column = absl::StrCat("  ", command.spec.name);
    column.resize(std::max<size_t>(column.size() + 1, 18), ' ');
    absl::StrAppend(&text, column, command.spec.summary, "\n    ", command.spec.example, "\n");
  }
  return text;
}

int UsageError(const std::string& message, const std::string& help_words) {
  std::fprintf(stderr, "lectern: %s\nlectern %s--help says more\n", message.c_str(),
               help_words.c_str());
  return kExitUsage;
}

bool IsGroup(const std::string& word) {
  return std::any_of(Commands().begin(), Commands().end(), [&](const Command& command) {
    return command.spec.name != word && FirstWord(command.spec.name) == word;
  });
}

int UnknownCommand(const std::string& word) {
  std::vector<std::string> known;
  for (const Command& command : Commands()) known.push_back(FirstWord(command.spec.name));
  const std::string nearest = NearestWord(word, known);
  return UsageError(
      absl::StrCat("no command '", word, "'",
                   nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")),
      "");
}

// The command that the first one or two words name; `taken` says how many.
const Command* FindCommand(const std::vector<std::string>& words, size_t* taken) {
  for (size_t count : {size_t{2}, size_t{1}}) {
    if (words.size() < count) continue;
    std::string name = words[0];
    if (count == 2) absl::StrAppend(&name, " ", words[1]);
    for (const Command& command : Commands()) {
      if (command.spec.name != name) continue;
      *taken = count;
      return &command;
    }
  }
  return nullptr;
}

}  // namespace

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = [] {
    std::vector<Command> all = {ServeCommand(), AskCommand()};
    Append(all, DocCommands());
    Append(all, JobCommands());
    Append(all, {ChatCommand()});
    Append(all, {StatsCommand()});
    Append(all, CacheCommands());
    Append(all, {VerifyCommand(), LogitsCommand(), BenchEngineCommand(), DoctorCommand(),
                 VersionCommand(), CompletionCommand()});
    return all;
  }();
  return commands;
}

int Run(const std::vector<std::string>& given) {
  std::vector<std::string> words = given;
  if (!words.empty() && words[0] == "help") {  // `help ask` is `ask --help`
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    std::fputs(Overview().c_str(), words.empty() ? stderr : stdout);
    return words.empty() ? kExitUsage : kExitOk;
  }
  if (words[0] == "--version") words[0] = "version";

  size_t taken = 0;
  const Command* command = FindCommand(words, &taken);
  if (command == nullptr && IsGroup(words[0])) {
    const bool asked = words.size() > 1 && (words[1] == "--help" || words[1] == "-h");
    if (words.size() > 1 && !asked) {
      return UsageError(absl::StrCat("no command '", words[0], " ", words[1], "'"), words[0] + " ");
    }
    std::fputs(GroupHelp(words[0]).c_str(), asked ? stdout : stderr);
    return asked ? kExitOk : kExitUsage;
  }
  if (command == nullptr) return UnknownCommand(words[0]);

  const std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(taken),
                                      words.end());
  absl::StatusOr<Args> args = Args::Parse(command->spec, rest);
  if (!args.ok()) {
    return UsageError(absl::StrCat(command->spec.name, ": ", args.status().message()),
                      command->spec.name + " ");
  }
  if (args->help()) {
    std::fputs(HelpText(command->spec).c_str(), stdout);
    return kExitOk;
  }
  return command->run(*args);
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kUnavailable:
      return kExitUnavailable;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    default:
      return kExitFailed;
  }
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "lectern: %s\n", std::string(base::ToStd(status.message())).c_str());
  return ExitCodeOf(status);
}

}  // namespace lectern::cli
