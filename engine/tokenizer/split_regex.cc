#include "engine/tokenizer/split_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"

namespace lectern::tokenizer {
namespace {

constexpr size_t kMaxPatternBytes = 64 * 1024;
constexpr uint32_t kHeapLimitKib = 64 * 1024;
// Backtracking steps of one search. The families' expressions need a few steps a byte; exponential
// ones pass any such line at once.
constexpr uint32_t kMatchLimitBase = 1'000'000;
constexpr uint32_t kMatchLimitPerByte = 16;
constexpr uint32_t kMatchLimitMax = 2'000'000'000;

constexpr std::string_view kWordProperties = R"(\p{L}\p{M}\p{Nd}\p{Pc})";

// Rewrites Oniguruma's reading into PCRE2's; see the header.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Run() {
    while (position_ < pattern_.size()) {
      const char c = pattern_[position_];
      if (c == '\\') {
        RETURN_IF_ERROR(Escape());
        continue;
      }
      RETURN_IF_ERROR(in_class_ ? ClassCharacter(c) : PlainCharacter(c));
      out_.push_back(c);
      ++position_;
    }
    return std::move(out_);
  }

 private:
  absl::Status Refuse(std::string_view what) const {
    return absl::UnimplementedError(absl::StrCat("regular expression with ", base::ToAbsl(what),
                                                 " at offset ", position_, " is not supported"));
  }

  absl::Status Escape() {
    std::string_view escape = pattern_.substr(position_, 2);
    const bool takes_braces = escape == "\\p" || escape == "\\P" || escape == "\\x";
    if (takes_braces && pattern_.substr(position_ + escape.size(), 1) == "{") {
      const size_t close = pattern_.find('}', position_);
      if (close != std::string_view::npos)
        escape = pattern_.substr(position_, close + 1 - position_);
    }
    if (escape == "\\s" || escape == "\\S") {
      out_ += escape == "\\s" ? "\\p{White_Space}" : "\\P{White_Space}";
    } else if (escape == "\\w" || escape == "\\W") {
      const bool negated = escape == "\\W";
      if (in_class_ && negated) return Refuse("\\W inside a class");
      if (!in_class_) out_ += negated ? "[^" : "[";
      out_ += kWordProperties;
      if (!in_class_) out_ += "]";
    } else {
      out_ += escape;
    }
    class_start_ = false;
    position_ += escape.size();
    return absl::OkStatus();
  }

  absl::Status ClassCharacter(char c) {
    const bool first = std::exchange(class_start_, c == '^' && class_start_);
    if (c == ']' && !first) in_class_ = false;
    if (c == '[') return Refuse("a nested class");
    if (c == '&' && pattern_.substr(position_, 2) == "&&") return Refuse("a class intersection");
    return absl::OkStatus();
  }

  absl::Status PlainCharacter(char c) {
    if (c == '[') in_class_ = class_start_ = true;
    if (c == '}' && pattern_.substr(position_, 2) == "}+") return Refuse("a possessive count");
    return absl::OkStatus();
  }

  std::string_view pattern_;
  size_t position_ = 0;
  bool in_class_ = false;
  bool class_start_ = false;  // a ']' here would be a literal
  std::string out_;
};

std::string Pcre2Message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

RegexScratch::RegexScratch()
    : match_data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)) {
  LECTERN_CHECK(match_data_ != nullptr && context_ != nullptr);
  pcre2_set_heap_limit(context_, kHeapLimitKib);
}

RegexScratch::~RegexScratch() {
  pcre2_match_context_free(context_);
  pcre2_match_data_free(match_data_);
}

SplitRegex::SplitRegex(SplitRegex&& other) noexcept
    : code_(std::exchange(other.code_, nullptr)), jit_(other.jit_) {}

SplitRegex& SplitRegex::operator=(SplitRegex&& other) noexcept {
  std::swap(code_, other.code_);
  std::swap(jit_, other.jit_);
  return *this;
}

SplitRegex::~SplitRegex() { pcre2_code_free(code_); }

absl::StatusOr<SplitRegex> SplitRegex::Compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError("regular expression is longer than 64 KiB");
  }
  ASSIGN_OR_RETURN(const std::string translated, Translator(pattern).Run());
  return CompileTranslated(translated);
}

absl::StatusOr<SplitRegex> SplitRegex::CompileLiteral(std::string_view literal) {
  if (literal.empty() || literal.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError("literal pattern is empty or longer than 64 KiB");
  }
  std::string escaped;
  for (const char c : literal) {
    if (std::string_view(R"(\^$.[|()?*+{}-#)").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return CompileTranslated(escaped);
}

absl::StatusOr<SplitRegex> SplitRegex::CompileTranslated(std::string_view pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  // NEVER_BACKSLASH_C: \C could cut a character in two.
  constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   kOptions, &error, &offset, nullptr);
  if (code == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("bad regular expression: ", Pcre2Message(error), " at offset ", offset));
  }
  // Without a just-in-time compiler on this machine the interpreter does the same, slower.
  const bool jit = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  return SplitRegex(code, jit);
}

absl::StatusOr<std::optional<RegexMatch>> SplitRegex::Find(std::string_view text, size_t start,
                                                           RegexScratch& scratch) const {
  if (scratch.limit_for_size_ != text.size()) {
    const uint64_t limit = kMatchLimitBase + uint64_t{kMatchLimitPerByte} * text.size();
    pcre2_set_match_limit(scratch.context_,
                          static_cast<uint32_t>(std::min<uint64_t>(limit, kMatchLimitMax)));
    scratch.limit_for_size_ = text.size();
  }
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (jit_) {
    result = pcre2_jit_match(code_, subject, text.size(), start, PCRE2_NO_UTF_CHECK,
                             scratch.match_data_, scratch.context_);
  }
  // The compiled code has 32 KiB of stack; the interpreter has the heap.
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
    result = pcre2_match(code_, subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                         scratch.match_data_, scratch.context_);
  }
  if (result == PCRE2_ERROR_NOMATCH) return std::optional<RegexMatch>();
  if (result < 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the pre-tokenizer's expression gave up on this text: ", Pcre2Message(result)));
  }
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch.match_data_);
  // \K can put the beginning behind the end; such a match splits nothing.
  const size_t begin = std::min(offsets[0], offsets[1]);
  return std::optional<RegexMatch>(RegexMatch{begin, offsets[1]});
}

}  // namespace lectern::tokenizer
