// Requests as they come off the wire: the first byte says which one, the rest is its protobuf.
// Whatever parses is checked, and what passes the checks keeps what they promise.

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/check.h"
#include "engine/tokenizer/utf8.h"
#include "lectern/v1/services.pb.h"
#include "services/frontend/answerer.h"
#include "services/frontend/request_checks.h"
#include "services/frontend/resource_names.h"

namespace {

using namespace lectern;            // NOLINT: an entry point
using namespace lectern::frontend;  // NOLINT

void CheckPromises(const v1::AnswerOptions& options) {
  const sampling::SamplingParams params = ToSamplingParams(options.sampling());
  LECTERN_CHECK(params.temperature >= 0 && params.top_p > 0 && params.top_p <= 1);
  LECTERN_CHECK(params.top_k >= 0 && params.min_p >= 0 && params.min_p < 1);
  LECTERN_CHECK(params.repetition_penalty > 0 && params.logprobs <= kLogprobsMax);
}

void TryJob(const std::string& bytes) {
  v1::CreateJobRequest request;
  if (!request.ParseFromString(bytes) || !CheckCreateJob(request).ok()) return;
  LECTERN_CHECK(request.documents_size() >= 1 && request.documents_size() <= kDocumentsMax);
  LECTERN_CHECK(request.questions_size() >= 1 && request.questions_size() <= kQuestionsMax);
  for (const auto& question : request.questions()) {
    LECTERN_CHECK(tokenizer::IsValidUtf8(question.text()));
  }
  CheckPromises(request.options());
}

void TryConverse(const std::string& bytes) {
  v1::ConverseRequest request;
  if (!request.ParseFromString(bytes) || !CheckConverse(request).ok()) return;
  LECTERN_CHECK(ParseName("sessions", request.session()).has_value());
  CheckPromises(request.options());
}

void TryNames(const std::string& bytes) {
  const auto turn = ParseTurnName(bytes);
  if (turn) LECTERN_CHECK(MakeTurnName(turn->session_id, turn->number) == bytes);
  const auto key = ParsePageToken(bytes);
  if (key) LECTERN_CHECK(ParsePageToken(MakePageToken(*key)) == key);
  static_cast<void>(IsUuid(bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 5) {
    case 0:
      TryJob(bytes);
      break;
    case 1:
      TryConverse(bytes);
      break;
    case 2: {
      v1::CreateSessionRequest request;
      if (request.ParseFromString(bytes)) static_cast<void>(CheckCreateSession(request).ok());
      break;
    }
    case 3: {
      v1::StartUploadRequest request;
      if (request.ParseFromString(bytes)) static_cast<void>(CheckStartUpload(request).ok());
      break;
    }
    default:
      TryNames(bytes);
  }
  return 0;
}
