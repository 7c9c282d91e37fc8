// `lectern completion`: a shell script generated from the table of commands.

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/cli/command.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

// The words that may follow: commands, and their second words for groups.
std::map<std::string, std::set<std::string>> Groups() {
  std::map<std::string, std::set<std::string>> groups;
  for (const Command& command : Commands()) {
    const size_t space = command.spec.name.find(' ');
    std::set<std::string>& verbs = groups[command.spec.name.substr(0, space)];
    if (space != std::string::npos) verbs.insert(command.spec.name.substr(space + 1));
  }
  return groups;
}

std::string FlagWords(const CommandSpec& spec) {
  std::string words = "--help";
  for (const Flag& flag : spec.flags) absl::StrAppend(&words, " --", flag.name);
  return words;
}

std::string BashScript() {
  std::string tops, group_cases, flag_cases, choice_cases;
  for (const auto& [top, verbs] : Groups()) {
    absl::StrAppend(&tops, tops.empty() ? "" : " ", top);
    if (!verbs.empty()) {
      absl::StrAppend(&group_cases, "    ", top, ") verbs=\"", absl::StrJoin(verbs, " "),
                      "\" ;;\n");
    }
  }
  std::map<std::string, std::string> choices;
  for (const Command& command : Commands()) {
    absl::StrAppend(&flag_cases, "    \"", command.spec.name, "\") flags=\"",
                    FlagWords(command.spec), "\" ;;\n");
    for (const Flag& flag : command.spec.flags) {
      if (flag.kind == FlagKind::kChoice) {
        choices[absl::StrCat(command.spec.name, " --", flag.name)] =
            absl::StrJoin(flag.choices, " ");
      }
    }
  }
  for (const auto& [key, words] : choices) {
    absl::StrAppend(&choice_cases, "    \"", key, "\") COMPREPLY=($(compgen -W \"", words,
                    "\" -- \"$word\")); return ;;\n");
  }
  return absl::StrCat(
      "# bash completion of lectern; for zsh: autoload -U +X bashcompinit && bashcompinit first\n"
      "_lectern() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local command=${COMP_WORDS[1]} verbs= flags=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W \"",
      tops,
      "\" -- \"$word\")); return\n"
      "  fi\n"
      "  case $command in\n",
      group_cases,
      "  esac\n"
      "  if [ -n \"$verbs\" ]; then\n"
      "    if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
      "      COMPREPLY=($(compgen -W \"$verbs\" -- \"$word\")); return\n"
      "    fi\n"
      "    command=\"$command ${COMP_WORDS[2]}\"\n"
      "  fi\n"
      "  case \"$command $previous\" in\n",
      choice_cases,
      "  esac\n"
      "  case $command in\n",
      flag_cases,
      "  esac\n"
      "  case $word in\n"
      "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n"
      "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
      "  esac\n"
      "}\n"
      "complete -o filenames -F _lectern lectern\n");
}

int RunCompletion(const Args& args) {
  const std::string zsh = "autoload -U +X bashcompinit && bashcompinit\n";
  PrintText((args.positionals()[0] == "zsh" ? zsh : std::string()) + BashScript());
  return kExitOk;
}

// "bash" or "zsh"; anything else is a usage error.
int RunChecked(const Args& args) {
  const std::string& shell = args.positionals()[0];
  if (shell == "bash" || shell == "zsh") return RunCompletion(args);
  Fail(absl::InvalidArgumentError(
      absl::StrCat("completion: no script for '", shell, "'; bash and zsh have one")));
  return kExitUsage;
}

}  // namespace

Command CompletionCommand() {
  return {.spec = {.name = "completion",
                   .summary = "print a completion script for a shell",
                   .positionals = "bash|zsh",
                   .positionals_min = 1,
                   .positionals_max = 1,
                   .flags = {},
                   .details = "",
                   .example = "source <(lectern completion bash)"},
          .run = RunChecked};
}

}  // namespace lectern::cli
