// `lectern doc`: documents of the service, and the text of a local file.

#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status.h"
#include "services/cli/answer_view.h"
#include "services/cli/client.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/source_file.h"
#include "services/cli/terminal.h"
#include "services/documents/document_store.h"

namespace lectern::cli {
namespace {

std::string DocumentLine(const v1::Document& document) {
  const std::string pages =
      document.pages() > 0 ? absl::StrCat(document.pages(), " pages") : "no pages";
  return absl::StrFormat("%s  %-10s  %10s  %7d tokens  %s\n", document.name(), pages,
                         BytesText(document.source_bytes()), document.tokens(),
                         document.display_name());
}

int RunAdd(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  UploadOptions options;
  options.mime_type = args.Text("mime-type");
  int code = kExitOk;
  for (const std::string& path : args.positionals()) {
    const absl::StatusOr<v1::Document> document = UploadFile(**client, path, options);
    if (!document.ok()) {
      if (args.json()) PrintJson(ErrorJson(path, document.status()));
      code = Fail(document.status());  // the other files are still added
    } else if (args.json()) {
      PrintJson(ProtoJson(*document));
    } else {
      PrintText(DocumentLine(*document));
    }
  }
  return code;
}

int RunList(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  v1::ListDocumentsRequest request;
  do {
    const absl::StatusOr<v1::ListDocumentsResponse> page = (*client)->ListDocuments(request);
    if (!page.ok()) return Fail(page.status());
    for (const v1::Document& document : page->documents()) {
      args.json() ? PrintJson(ProtoJson(document)) : PrintText(DocumentLine(document));
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return kExitOk;
}

int RunShow(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  v1::GetDocumentRequest request;
  request.set_name(args.positionals()[0]);
  const absl::StatusOr<v1::Document> document = (*client)->GetDocument(request);
  if (!document.ok()) return Fail(document.status());
  if (args.json()) {
    PrintJson(ProtoJson(*document));
    return kExitOk;
  }
  PrintText(absl::StrCat("name        ", document->name(), "\ncalled      ",
                         document->display_name(), "\ntype        ", document->mime_type(),
                         "\nsource      ", BytesText(document->source_bytes()), ", SHA-256 ",
                         document->source_sha256(), "\ntext        ",
                         BytesText(document->text_bytes()), ", ", document->pages(), " pages, ",
                         document->paragraphs(), " paragraphs, ", document->tokens(), " tokens\n"));
  return kExitOk;
}

// The text of a file as the service would extract it: no server, no state.
int PrintFileText(const Args& args, const std::string& path) {
  const absl::StatusOr<std::string> source = ReadFile(path);
  if (!source.ok()) return Fail(source.status());
  const absl::StatusOr<documents::ExtractedText> text =
      documents::ExtractText(*source, args.Text("mime-type"), path,
                             documents::DocumentStoreOptions(), [] { return false; });
  if (!text.ok()) return Fail(base::Annotate(text.status(), path));
  if (args.json()) {
    PrintJson({{"document", path},
               {"mime_type", text->mime_type},
               {"page_begins", text->page_begins},
               {"text", text->text}});
  } else {
    PrintText(text->text);
  }
  return kExitOk;
}

int RunText(const Args& args) {
  const std::string& given = args.positionals()[0];
  struct stat info = {};
  if (!given.starts_with("documents/") || stat(given.c_str(), &info) == 0) {
    return PrintFileText(args, given);
  }
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  v1::GetDocumentTextRequest request;
  request.set_name(given);
  std::string text;
  std::vector<int64_t> page_begins;
  const absl::Status status =
      (*client)->GetDocumentText(request, [&](const v1::DocumentText& part) {
        if (args.json()) {
          text += part.text();
          page_begins.insert(page_begins.end(), part.page_begins().begin(),
                             part.page_begins().end());
        } else {
          PrintText(part.text());
        }
        return true;
      });
  if (!status.ok()) return Fail(status);
  if (args.json()) PrintJson({{"document", given}, {"page_begins", page_begins}, {"text", text}});
  return kExitOk;
}

int RunRemove(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kDocumentsOnly);
  if (!client.ok()) return Fail(client.status());
  int code = kExitOk;
  for (const std::string& name : args.positionals()) {
    v1::DeleteDocumentRequest request;
    request.set_name(name);
    request.set_request_id(NewRequestId());
    const absl::Status status = (*client)->DeleteDocument(request);
    if (!status.ok()) {
      code = Fail(status);
    } else if (args.json()) {
      PrintJson({{"name", name}, {"deleted", true}});
    }
  }
  return code;
}

int RunWarm(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<GivenDocuments> documents =
      ResolveDocuments(**client, args.positionals(), UploadOptions());
  if (!documents.ok()) return Fail(documents.status());
  v1::WarmDocumentRequest request;
  for (const std::string& name : documents->names) request.add_documents(name);
  Progress progress("warming", /*enabled=*/true);
  v1::WarmProgress last;
  const absl::Status status = (*client)->WarmDocument(request, [&](const v1::WarmProgress& news) {
    progress.Update(news.prompt_tokens_done(), news.prompt_tokens_total(), "tokens");
    last = news;
    return true;
  });
  progress.Clear();
  if (!status.ok()) return Fail(status);
  if (args.json()) {
    PrintJson(ProtoJson(last));
  } else {
    PrintText(absl::StrCat(last.prompt_tokens_total(), " tokens are warm; ",
                           last.usage().cached_tokens_device() + last.usage().cached_tokens_disk(),
                           " of them were already\n"));
  }
  return kExitOk;
}

Command Make(const char* verb, const char* summary, const char* positionals, int min, int max,
             std::vector<Flag> own_flags, const char* example, int (*run)(const Args&)) {
  return {.spec = {.name = absl::StrCat("doc ", verb),
                   .summary = summary,
                   .positionals = positionals,
                   .positionals_min = min,
                   .positionals_max = max,
                   .flags = Join({std::move(own_flags), ClientFlags(), EngineFlags()}),
                   .details = "",
                   .example = example},
          .run = run};
}

}  // namespace

std::vector<Command> DocCommands() {
  const Flag mime = Text(
      "mime-type", "TYPE",
      "text/plain, text/markdown, text/html or application/pdf (default: from name and bytes)");
  return {
      Make("add", "upload files", "FILE...", 1, -1, {mime}, "lectern doc add manual.pdf notes.md",
           RunAdd),
      Make("list", "list documents", "", 0, 0, {}, "lectern doc list --json", RunList),
      Make("show", "one document's size, pages and tokens", "documents/ID", 1, 1, {},
           "lectern doc show documents/3f2a", RunShow),
      Make("text", "print the extracted text, to which all byte ranges refer", "FILE|documents/ID",
           1, 1, {mime}, "lectern doc text manual.pdf | head -c 200", RunText),
      Make("rm", "delete documents", "documents/ID...", 1, -1, {}, "lectern doc rm documents/3f2a",
           RunRemove),
      Make("warm", "read documents now, so that the first question is quick",
           "FILE|documents/ID...", 1, -1, {}, "lectern doc warm manual.pdf", RunWarm),
  };
}

}  // namespace lectern::cli
