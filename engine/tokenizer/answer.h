#pragma once
// Takes an answer apart into what was quoted from which paragraph and the text that a reader sees.

#include <string>
#include <string_view>
#include <vector>

namespace lectern::tokenizer {

// How a format writes its answers.
enum class AnswerStyle {
  kMarkedSentences,  // "¶12 The sentence." : what follows a marker is the quote, word for word
  kQuotedPassages,   // "[¶12] "quote" ..." : quotation marks say what is quoted
};

struct AnswerQuote {
  std::vector<int> paragraphs;  // numbers of the markers, at least one
  std::string text;             // without quotation marks; may be empty
};

struct ParsedAnswer {
  std::string text;                 // without markers and the white space around the whole
  bool answered = false;            // false: empty, or it says that the document does not tell
  std::vector<AnswerQuote> quotes;  // in order
};

// A marker is "¶" and digits, or "[¶12]", "[¶3, ¶5]". In brackets it counts anywhere, bare only at
// the start of the answer, of a line or after a sentence, since documents cite "see ¶12"
// themselves. A value: copies carry the state on independently. Not thread safe.
class AnswerParser {
 public:
  // `not_stated`: how an answer begins that the document does not hold, compared without case.
  AnswerParser(AnswerStyle style, std::string not_stated);

  // More of the raw answer. Returns the reader's text that is certain now: a possible marker is
  // held back until it is decided. All deltas and Finish() together are ParsedAnswer::text, but for
  // white space at its end.
  std::string Push(std::string_view delta);
  std::string Finish();

  // The answer so far; whole after Finish.
  ParsedAnswer Parsed() const;

 private:
  struct Segment {
    std::vector<int> paragraphs;  // empty: text before the first marker
    std::string text;
  };

  std::string Consume(bool final);
  void Emit(std::string_view text, std::string& out);
  bool BareMarkerMayStart(std::string_view before) const;
  std::vector<AnswerQuote> Quotes() const;

  AnswerStyle style_;
  std::string not_stated_;
  std::string held_;         // raw text that is not decided
  std::string text_;         // the reader's text so far
  bool skip_spaces_ = true;  // just behind a marker, or at the start
  std::vector<Segment> segments_;
};

// The whole text at once.
ParsedAnswer ParseAnswer(AnswerStyle style, std::string_view not_stated, std::string_view answer);

}  // namespace lectern::tokenizer
