#include "engine/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/tokenizer/utf8.h"

namespace lectern::tokenizer {
namespace {

// GPT-2 encoder.py; ByteLevel with use_regex.
constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Create(const PreTokenizerSpec& spec) {
  PreTokenizer out;
  for (const SplitStep& split : spec.splits) {
    absl::StatusOr<SplitRegex> regex = split.literal ? SplitRegex::CompileLiteral(split.pattern)
                                                     : SplitRegex::Compile(split.pattern);
    if (!regex.ok()) {
      return base::Annotate(regex.status(), absl::StrCat("Split ", out.steps_.size()));
    }
    out.steps_.push_back({*std::move(regex), split.remove_matches});
  }
  out.byte_level_step_ = out.steps_.size();
  out.add_prefix_space_ = spec.add_prefix_space;
  if (spec.use_gpt2_regex) {
    ASSIGN_OR_RETURN(SplitRegex regex, SplitRegex::Compile(kGpt2Regex));
    out.steps_.push_back({std::move(regex), false});
  }
  return out;
}

absl::Status PreTokenizer::Split(std::string_view text, RegexScratch& scratch,
                                 const WordSink& sink) const {
  while (!text.empty()) {
    const size_t valid = ValidUtf8Prefix(text);
    if (valid > 0) RETURN_IF_ERROR(SplitFrom(0, text.substr(0, valid), true, scratch, sink));
    text.remove_prefix(valid);
    size_t broken = 0;
    while (broken < text.size()) {
      const Utf8Step step = DecodeUtf8(text.substr(broken));
      if (step.kind == Utf8Kind::kCharacter) break;
      broken += step.length;
    }
    if (broken > 0) sink(text.substr(0, broken), true);
    text.remove_prefix(broken);
  }
  return absl::OkStatus();
}

absl::Status PreTokenizer::SplitFrom(size_t step, std::string_view piece, bool stable,
                                     RegexScratch& scratch, const WordSink& sink) const {
  if (step == byte_level_step_ && add_prefix_space_ && piece.front() != ' ') {
    const std::string prefixed = absl::StrCat(" ", base::ToAbsl(piece));
    if (step < steps_.size()) return ApplyStep(step, prefixed, false, scratch, sink);
    sink(prefixed, false);
    return absl::OkStatus();
  }
  if (step < steps_.size()) return ApplyStep(step, piece, stable, scratch, sink);
  sink(piece, stable);
  return absl::OkStatus();
}

absl::Status PreTokenizer::ApplyStep(size_t step, std::string_view piece, bool stable,
                                     RegexScratch& scratch, const WordSink& sink) const {
  const bool last = step + 1 == steps_.size() && !add_prefix_space_;
  const auto pass_on = [&](size_t begin, size_t end) {
    if (begin == end) return absl::OkStatus();
    const std::string_view part = piece.substr(begin, end - begin);
    if (!last) return SplitFrom(step + 1, part, stable, scratch, sink);
    sink(part, stable);
    return absl::OkStatus();
  };
  size_t done = 0;
  for (size_t start = 0; start < piece.size();) {
    ASSIGN_OR_RETURN(const std::optional<RegexMatch> match,
                     steps_[step].regex.Find(piece, start, scratch));
    if (!match.has_value()) break;
    // \K in a lookaround could report a match behind what is done.
    const size_t begin = std::max(match->begin, done);
    const size_t end = std::max(match->end, begin);
    RETURN_IF_ERROR(pass_on(done, begin));
    if (!steps_[step].remove_matches) RETURN_IF_ERROR(pass_on(begin, end));
    done = end;
    // An empty match cuts here; the search goes on behind the next character.
    start = end > start ? end : start + DecodeUtf8(piece.substr(start)).length;
  }
  return pass_on(done, piece.size());
}

}  // namespace lectern::tokenizer
