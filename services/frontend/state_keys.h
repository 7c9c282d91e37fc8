#pragma once
// Keys of the front end's durable state. Format and versions: state_format.md. Documents keep keys
// of their own (services/documents); "f/" keeps the two apart.

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace lectern::frontend::keys {

inline std::string Hex16(int64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

inline std::string EventPrefix(std::string_view stream) {
  return "f/event/" + std::string(stream) + "#";
}
inline std::string Event(std::string_view stream, int64_t seq) {
  return EventPrefix(stream) + Hex16(seq);
}

inline const std::string kJobs = "f/job/";
inline std::string Job(std::string_view id) { return kJobs + std::string(id); }
inline std::string AnswerPrefix(std::string_view job_id) {
  return "f/answer/" + std::string(job_id) + "#";
}
inline std::string Answer(std::string_view job_id, int question) {
  return AnswerPrefix(job_id) + Hex16(question);
}

inline const std::string kSessions = "f/session/";
inline std::string Session(std::string_view id) { return kSessions + std::string(id); }
inline std::string TurnPrefix(std::string_view session_id) {
  return "f/turn/" + std::string(session_id) + "#";
}
inline std::string Turn(std::string_view session_id, int number) {
  return TurnPrefix(session_id) + Hex16(number);
}

// Turns that have not ended, so that a start finds them without reading all.
inline const std::string kLiveTurns = "f/live/";
inline std::string LiveTurn(std::string_view name) { return kLiveTurns + std::string(name); }

inline const std::string kRequests = "f/request/";
inline std::string Request(std::string_view method, std::string_view request_id) {
  return kRequests + std::string(method) + "/" + std::string(request_id);
}

// Tokens of a document under one tokenizer.
inline std::string DocumentTokens(std::string_view tokenizer, std::string_view document) {
  return "f/tokens/" + std::string(tokenizer) + "/" + std::string(document);
}

}  // namespace lectern::frontend::keys
