// `lectern ask`: documents and questions in, answers with citations and evidence out.

#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
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

namespace lectern::cli {
namespace {

// Every question that will not be answered, as the contract wants it; then the message for people.
int FailAll(const AskInput& input, bool json, const absl::Status& status) {
  if (json) {
    for (const GivenQuestion& question : input.questions) PrintJson(ErrorJson(question.id, status));
  }
  return Fail(status);
}

v1::CreateJobRequest JobRequest(const AskInput& input, const GivenDocuments& documents,
                                const v1::AnswerOptions& options) {
  v1::CreateJobRequest request;
  for (const std::string& name : documents.names) request.add_documents(name);
  for (const GivenQuestion& question : input.questions) {
    v1::Question& added = *request.add_questions();
    added.set_id(question.id.is_string() ? question.id.get<std::string>() : question.id.dump());
    added.set_text(question.text);
  }
  *request.mutable_options() = options;
  request.set_request_id(NewRequestId());
  return request;
}

absl::Status AskAndPrint(Client& client, const AskInput& input, const GivenDocuments& documents,
                         const v1::AnswerOptions& options, AnswerPrinter& printer) {
  absl::StatusOr<v1::Job> job = client.CreateJob(JobRequest(input, documents, options));
  RETURN_IF_ERROR(job.status());
  const InterruptScope interrupt([&] {
    v1::CancelJobRequest cancel;
    cancel.set_name(job->name());
    // The watch ends with the cancelled state; if even this call fails, the watch must end too.
    if (!client.CancelJob(cancel).ok()) client.CancelCalls();
  });
  RETURN_IF_ERROR(FollowJob(client, job->name(), {}, [&](const v1::AnswerEvent& event) {
    printer.OnEvent(event);
    return true;
  }));
  return InterruptScope::interrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

int RunAsk(const Args& args) {
  absl::StatusOr<AskInput> input = ReadAskInput(args.positionals(), args.Text("questions"));
  if (!input.ok()) {
    Fail(input.status());
    return kExitUsage;
  }
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return FailAll(*input, args.json(), client.status());
  const absl::StatusOr<GivenDocuments> documents = ResolveDocuments(**client, input->files, {});
  if (!documents.ok()) return FailAll(*input, args.json(), documents.status());

  AnswerPrinter printer(args.json() ? AnswerFormat::kJson : AnswerFormat::kText, input->questions,
                        *documents);
  const absl::Status status =
      AskAndPrint(**client, *input, *documents, AnswerOptionsFrom(args), printer);
  if (!status.ok()) {
    printer.FailRest(status);
    return absl::IsCancelled(status) ? kExitInterrupted : Fail(status);
  }
  // A job that ended without an answer to one of its questions has failed it.
  printer.FailRest(absl::InternalError("the job ended without an answer to this question"));
  return printer.failed() > 0 ? kExitFailed : kExitOk;
}

}  // namespace

Command AskCommand() {
  return {
      .spec =
          {.name = "ask",
           .summary = "answer questions about files, with quotes and evidence",
           .positionals = "FILE... QUESTION",
           .positionals_min = 1,
           .positionals_max = -1,
           .flags = Join(
               {{Path("questions", "Q.jsonl",
                      "questions from a file, one {\"id\",\"question\"} a line; - reads standard "
                      "input")},
                AnswerFlags(),
                ClientFlags(),
                EngineFlags()}),
           .details =
               "Uploads the files (or takes documents/... names), streams each answer as it is "
               "written, then\n"
               "its quotes with page and byte range, the evidence passages and the time to the "
               "first token.\n"
               "Without a server that holds the data directory the engine runs in this process.\n"
               "--json prints one object a question, in input order; a failed one is {id, error} "
               "and exit\n"
               "code 1.",
           .example = "lectern ask manual.pdf \"Who may open the valve?\"\n"
                      "  lectern ask a.md b.md --questions questions.jsonl --json"},
      .run = RunAsk};
}

}  // namespace lectern::cli
