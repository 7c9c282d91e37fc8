#pragma once
// Questions over gRPC, with the tokens of their answers.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lectern/v1/resources.pb.h"
#include "services/cli/client.h"

namespace lectern::e2e {

struct GivenAnswer {
  std::vector<int32_t> token_ids;
  v1::Answer answer;
};

// Takes the events of a job or turn in order and puts the answers together. Every token is counted
// once.
class AnswerCollector {
 public:
  explicit AnswerCollector(size_t num_questions) : answers_(num_questions) {}
  void OnEvent(const v1::AnswerEvent& event);
  const std::vector<GivenAnswer>& answers() const { return answers_; }
  v1::JobState job_state() const { return job_state_; }
  int64_t last_seq() const { return last_seq_; }
  // Sequence numbers that did not follow the one before.
  int num_gaps() const { return num_gaps_; }

 private:
  std::vector<GivenAnswer> answers_;
  v1::JobState job_state_ = v1::JOB_STATE_UNSPECIFIED;
  int64_t last_seq_ = 0;
  int num_gaps_ = 0;
};

// A job from creation to its end. Error where it, or one of its questions, failed.
absl::StatusOr<std::vector<GivenAnswer>> Ask(cli::Client& client,
                                             const std::vector<std::string>& documents,
                                             const std::vector<std::string>& questions,
                                             const v1::AnswerOptions& options);
v1::CreateJobRequest JobRequest(const std::vector<std::string>& documents,
                                const std::vector<std::string>& questions,
                                const v1::AnswerOptions& options);

// Greedy answers of at most `max_new_tokens`.
v1::AnswerOptions Greedy(int max_new_tokens, bool no_cache = false);

// Uploads `text` as a plain text document and returns its name.
absl::StatusOr<std::string> UploadText(cli::Client& client, const std::string& path,
                                       const std::string& text);

}  // namespace lectern::e2e
