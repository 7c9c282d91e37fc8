#include "tests/e2e/asking.h"

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/cli/job_stream.h"
#include "services/cli/source_file.h"

namespace lectern::e2e {

void AnswerCollector::OnEvent(const v1::AnswerEvent& event) {
  if (event.seq() != last_seq_ + 1) ++num_gaps_;
  last_seq_ = event.seq();
  if (event.event_case() == v1::AnswerEvent::kJobState) job_state_ = event.job_state();
  const auto index = static_cast<size_t>(event.question_index());
  if (index >= answers_.size()) return;
  if (event.has_text_delta()) {
    const auto& ids = event.text_delta().token_ids();
    answers_[index].token_ids.insert(answers_[index].token_ids.end(), ids.begin(), ids.end());
  }
  if (event.has_finished()) answers_[index].answer = event.finished();
}

v1::CreateJobRequest JobRequest(const std::vector<std::string>& documents,
                                const std::vector<std::string>& questions,
                                const v1::AnswerOptions& options) {
  v1::CreateJobRequest request;
  for (const std::string& document : documents) request.add_documents(document);
  for (const std::string& question : questions) request.add_questions()->set_text(question);
  *request.mutable_options() = options;
  request.set_request_id(cli::NewRequestId());
  return request;
}

absl::StatusOr<std::vector<GivenAnswer>> Ask(cli::Client& client,
                                             const std::vector<std::string>& documents,
                                             const std::vector<std::string>& questions,
                                             const v1::AnswerOptions& options) {
  ASSIGN_OR_RETURN(const v1::Job job, client.CreateJob(JobRequest(documents, questions, options)));
  AnswerCollector collector(questions.size());
  RETURN_IF_ERROR(cli::FollowJob(client, job.name(), {}, [&](const v1::AnswerEvent& event) {
    collector.OnEvent(event);
    return true;
  }));
  if (collector.job_state() != v1::JOB_STATE_SUCCEEDED) {
    std::string why = v1::JobState_Name(collector.job_state());
    for (const GivenAnswer& answer : collector.answers()) {
      absl::StrAppend(&why, "; ", answer.answer.error().message());
    }
    return absl::InternalError(absl::StrCat(job.name(), ": ", why));
  }
  return collector.answers();
}

v1::AnswerOptions Greedy(int max_new_tokens, bool no_cache) {
  v1::AnswerOptions options;
  options.mutable_sampling()->set_max_new_tokens(max_new_tokens);
  options.set_no_cache(no_cache);
  return options;
}

absl::StatusOr<std::string> UploadText(cli::Client& client, const std::string& path,
                                       const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  cli::UploadOptions options;
  options.show_progress = false;
  ASSIGN_OR_RETURN(const v1::Document document, cli::UploadFile(client, path, options));
  return document.name();
}

}  // namespace lectern::e2e
