#pragma once
// Cuts text into the words that byte-pair encoding sees: the Split expressions in order, each
// applied to the pieces left by the one before, then ByteLevel.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tokenizer/split_regex.h"

namespace lectern::tokenizer {

struct SplitStep {
  std::string pattern;
  bool literal = false;         // the pattern is plain text
  bool remove_matches = false;  // behaviour Removed instead of Isolated
};

struct PreTokenizerSpec {
  std::vector<SplitStep> splits;
  bool add_prefix_space = false;  // ByteLevel: a piece that lacks one gets a leading space
  bool use_gpt2_regex = false;    // ByteLevel: splits by GPT-2's expression as well
};

// Called once a word, in order. `stable`: the word lies in the caller's text (and not in a buffer
// that goes away).
using WordSink = std::function<void(std::string_view word, bool stable)>;

// Immutable; thread safe.
class PreTokenizer {
 public:
  // Errors as SplitRegex::Compile, with the step's number.
  static absl::StatusOr<PreTokenizer> Create(const PreTokenizerSpec& spec);

  // Bytes that are no UTF-8 form words of their own, cut at them as at the end of a text.
  // ResourceExhausted as SplitRegex::Find.
  absl::Status Split(std::string_view text, RegexScratch& scratch, const WordSink& sink) const;

 private:
  struct Step {
    SplitRegex regex;
    bool remove_matches = false;
  };

  absl::Status SplitFrom(size_t step, std::string_view piece, bool stable, RegexScratch& scratch,
                         const WordSink& sink) const;
  absl::Status ApplyStep(size_t step, std::string_view piece, bool stable, RegexScratch& scratch,
                         const WordSink& sink) const;

  std::vector<Step> steps_;
  size_t byte_level_step_ = 0;  // the prefix space comes before this step
  bool add_prefix_space_ = false;
};

}  // namespace lectern::tokenizer
