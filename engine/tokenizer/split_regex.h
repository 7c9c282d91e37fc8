#pragma once
// One pre-tokenizer expression, run by PCRE2 (UTF, Unicode properties, just-in-time compiled).
// tokenizer.json means Oniguruma's Ruby syntax; where the two libraries read the same text
// differently the expression is rewritten, or refused:
//   \s \S  Unicode White_Space (PCRE2's own \s also takes U+180E);
//   \w \W  letters, marks, decimal digits, connectors (PCRE2: letters, numbers, underscore);
//   ^ $    match at every line, as in Ruby;
//   nested classes, class intersections (&&) and possessive counts ({n,m}+): refused.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace lectern::tokenizer {

// Memory and limits of one thread's matching. Not thread safe; cheap to make (two small
// allocations).
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

 private:
  friend class SplitRegex;
  pcre2_real_match_data_8* match_data_;
  pcre2_real_match_context_8* context_;
  size_t limit_for_size_ = 0;  // subject size for which the context's limit was set
};

struct RegexMatch {
  size_t begin = 0;
  size_t end = 0;
};

// Immutable and thread safe after Compile.
class SplitRegex {
 public:
  // InvalidArgument: PCRE2 refuses the expression (with its message and offset).
  // Unimplemented: it uses what the two libraries read differently.
  static absl::StatusOr<SplitRegex> Compile(std::string_view pattern);
  // Matches `literal` and nothing else.
  static absl::StatusOr<SplitRegex> CompileLiteral(std::string_view literal);

  SplitRegex(SplitRegex&& other) noexcept;
  SplitRegex& operator=(SplitRegex&& other) noexcept;
  ~SplitRegex();

  // The first match in `text` at or after `start`; nothing if there is none. `text` must be valid
  // UTF-8. ResourceExhausted: the expression backtracks beyond its limit, which grows with the
  // text, so that a hostile expression or text ends in an error and not in a hang.
  absl::StatusOr<std::optional<RegexMatch>> Find(std::string_view text, size_t start,
                                                 RegexScratch& scratch) const;

 private:
  explicit SplitRegex(pcre2_real_code_8* code, bool jit) : code_(code), jit_(jit) {}
  static absl::StatusOr<SplitRegex> CompileTranslated(std::string_view pattern);

  pcre2_real_code_8* code_;
  bool jit_;
};

}  // namespace lectern::tokenizer
