// `lectern job`: durable jobs, submitted now and watched from anywhere, from any event on.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status.h"
#include "services/cli/answer_printer.h"
#include "services/cli/answer_view.h"
#include "services/cli/client.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/interrupt.h"
#include "services/cli/job_stream.h"
#include "services/cli/questions.h"
#include "services/cli/source_file.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

std::string JobLine(const v1::Job& job) {
  return absl::StrFormat("%s  %-9s  %d of %d questions  %d documents\n", job.name(),
                         StateText(job.state()), job.questions_done(), job.questions_size(),
                         job.documents_size());
}

void PrintJob(const v1::Job& job, bool json) {
  json ? PrintJson(ProtoJson(job)) : PrintText(JobLine(job));
}

int RunSubmit(const Args& args) {
  const absl::StatusOr<AskInput> input = ReadAskInput(args.positionals(), args.Text("questions"));
  if (!input.ok()) {
    Fail(input.status());
    return kExitUsage;
  }
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<GivenDocuments> documents =
      ResolveDocuments(**client, input->files, UploadOptions());
  if (!documents.ok()) return Fail(documents.status());
  v1::CreateJobRequest request;
  for (const std::string& name : documents->names) request.add_documents(name);
  for (const GivenQuestion& question : input->questions) {
    v1::Question& added = *request.add_questions();
    added.set_id(question.id.is_string() ? question.id.get<std::string>() : question.id.dump());
    added.set_text(question.text);
  }
  *request.mutable_options() = AnswerOptionsFrom(args);
  request.set_request_id(args.Has("request-id") ? args.Text("request-id") : NewRequestId());
  const absl::StatusOr<v1::Job> job = (*client)->CreateJob(request);
  if (!job.ok()) return Fail(job.status());
  PrintJob(*job, args.json());
  return kExitOk;
}

// The words of a stored job, for printing its answers.
struct JobWords {
  std::vector<GivenQuestion> questions;
  GivenDocuments documents;
};

absl::StatusOr<JobWords> WordsOf(Client& client, const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::Job job, client.GetJob(request));
  JobWords words;
  for (const v1::Question& question : job.questions()) {
    const std::string number = std::to_string(words.questions.size() + 1);
    words.questions.push_back(
        {.id = question.id().empty() ? number : question.id(), .text = question.text()});
  }
  for (const std::string& document : job.documents()) {
    v1::GetDocumentRequest get;
    get.set_name(document);
    const absl::StatusOr<v1::Document> found = client.GetDocument(get);
    words.documents.names.push_back(document);
    words.documents.given_as[document] = found.ok() ? found->display_name() : document;
  }
  return words;
}

int RunWatch(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const std::string& name = args.positionals()[0];
  const absl::StatusOr<JobWords> words = WordsOf(**client, name);
  if (!words.ok()) return Fail(words.status());

  FollowOptions follow;
  follow.after_seq = args.Integer("after-seq", 0);
  follow.reconnect_seconds = args.Real("reconnect-seconds", follow.reconnect_seconds);
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  AnswerPrinter printer(AnswerFormat::kText, words->questions, words->documents);
  const InterruptScope interrupt([&] { (*client)->CancelCalls(); });  // the job itself goes on
  const absl::Status status = FollowJob(**client, name, follow, [&](const v1::AnswerEvent& event) {
    if (event.event_case() == v1::AnswerEvent::kJobState) state = event.job_state();
    args.json() ? PrintJson(ProtoJson(event)) : printer.OnEvent(event);
    return true;
  });
  if (!status.ok()) return Fail(status);
  return state == v1::JOB_STATE_FAILED || state == v1::JOB_STATE_CANCELLED ? kExitFailed : kExitOk;
}

int RunCancel(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  v1::CancelJobRequest request;
  request.set_name(args.positionals()[0]);
  request.set_request_id(NewRequestId());
  const absl::StatusOr<v1::Job> job = (*client)->CancelJob(request);
  if (!job.ok()) return Fail(job.status());
  PrintJob(*job, args.json());
  return kExitOk;
}

int RunList(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  v1::ListJobsRequest request;
  do {
    const absl::StatusOr<v1::ListJobsResponse> page = (*client)->ListJobs(request);
    if (!page.ok()) return Fail(page.status());
    for (const v1::Job& job : page->jobs()) PrintJob(job, args.json());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return kExitOk;
}

int RunShow(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  v1::GetJobRequest request;
  request.set_name(args.positionals()[0]);
  const absl::StatusOr<v1::Job> job = (*client)->GetJob(request);
  if (!job.ok()) return Fail(job.status());
  PrintJob(*job, args.json());
  if (args.json()) return kExitOk;
  const absl::StatusOr<JobWords> words = WordsOf(**client, job->name());
  if (!words.ok()) return Fail(words.status());
  for (const v1::Answer& answer : job->answers()) {
    PrintText(absl::StrCat("? ", answer.question(), "\n", answer.text(), "\n",
                           AnswerTrailer(answer, words->documents), "\n"));
  }
  return kExitOk;
}

}  // namespace

std::vector<Command> JobCommands() {
  const std::vector<Flag> common = Join({ClientFlags(), EngineFlags()});
  return {
      {.spec = {.name = "job submit",
                .summary = "queue questions about documents; prints the job's name",
                .positionals = "FILE|documents/ID... QUESTION",
                .positionals_min = 1,
                .positionals_max = -1,
                .flags = Join(
                    {{Path("questions", "Q.jsonl",
                           "questions from a file, one {\"id\",\"question\"} a line"),
                      Text("request-id", "UUID", "the same id within 24 hours gives the same job")},
                     AnswerFlags(),
                     common}),
                .details = "The job is durable once its name is printed: it goes on after a "
                           "restart of the server.",
                .example = "lectern job submit manual.pdf --questions questions.jsonl"},
       .run = RunSubmit},
      {.spec = {.name = "job watch",
                .summary = "stream a job's events from any point on",
                .positionals = "jobs/ID",
                .positionals_min = 1,
                .positionals_max = 1,
                .flags =
                    Join({{Integer("after-seq", "only events after this one (default: 0)", 0,
                                   INT64_MAX / 2),
                           Real("reconnect-seconds",
                                "how long a lost server is looked for (default: 60)", 0, 86400)},
                          common}),
                .details = "Ctrl-C ends the watching, not the job. Exit code 1 where the job "
                           "failed or was cancelled.",
                .example = "lectern job watch jobs/8c41 --after-seq 17 --json"},
       .run = RunWatch},
      {.spec = {.name = "job cancel",
                .summary = "stop a job and free what it holds",
                .positionals = "jobs/ID",
                .positionals_min = 1,
                .positionals_max = 1,
                .flags = common,
                .details = "",
                .example = "lectern job cancel jobs/8c41"},
       .run = RunCancel},
      {.spec = {.name = "job list",
                .summary = "list jobs and their states",
                .positionals = "",
                .positionals_min = 0,
                .positionals_max = 0,
                .flags = common,
                .details = "",
                .example = "lectern job list"},
       .run = RunList},
      {.spec = {.name = "job show",
                .summary = "one job with its answers",
                .positionals = "jobs/ID",
                .positionals_min = 1,
                .positionals_max = 1,
                .flags = common,
                .details = "",
                .example = "lectern job show jobs/8c41 --json"},
       .run = RunShow},
  };
}

}  // namespace lectern::cli
