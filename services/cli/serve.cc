// `lectern serve`: the whole service in one process, until a signal ends it.

#include <unistd.h>

#include <future>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/log.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/interrupt.h"
#include "services/cli/locations.h"
#include "services/cli/terminal.h"
#include "services/frontend/server.h"

namespace lectern::cli {
namespace {

frontend::ServerOptions ServerOptionsFrom(const Args& args) {
  frontend::ServerOptions options;
  options.data_directory = DataDirectory(args.Text("data-dir"));
  options.listen_address = args.Text("listen", options.listen_address);
  options.metrics_address = args.Text("metrics", options.metrics_address);
  if (options.metrics_address == "none") options.metrics_address.clear();
  options.tls_certificate_file = args.Text("tls-certificate");
  options.tls_key_file = args.Text("tls-key");
  options.reflection = !args.Has("no-reflection");
  options.ingest_threads = static_cast<int>(args.Integer("ingest-threads", options.ingest_threads));
  options.jobs_running_max =
      static_cast<int>(args.Integer("jobs-running", options.jobs_running_max));
  return options;
}

void Announce(const frontend::Server& server, const frontend::ServerOptions& options, bool json) {
  if (json) {
    PrintJson({{"address", server.address()},
               {"metrics_address", server.metrics_address()},
               {"data_directory", options.data_directory},
               {"model", options.engine.model_directory},
               {"pid", getpid()}});
    return;
  }
  std::string text = absl::StrCat("serving gRPC on ", server.address());
  if (!server.metrics_address().empty()) {
    absl::StrAppend(&text, ", metrics on http://", server.metrics_address(), "/metrics");
  }
  absl::StrAppend(&text, "\nmodel ", options.engine.model_directory, "\ndata  ",
                  options.data_directory, "\n");
  PrintText(text);
}

int RunServe(const Args& args) {
  base::SetMinLogLevel(args.Has("quiet") ? base::LogLevel::kWarning : base::LogLevel::kInfo);
  frontend::ServerOptions options = ServerOptionsFrom(args);
  absl::StatusOr<config::EngineConfig> engine = EngineConfigFrom(args);
  if (!engine.ok()) {
    Fail(engine.status());
    return kExitUnavailable;
  }
  options.engine = *std::move(engine);
  // Before Start, so that a signal during a long load still ends the process cleanly.
  std::promise<void> ended;
  const InterruptScope interrupt([&ended] { ended.set_value(); });
  absl::StatusOr<std::unique_ptr<frontend::Server>> server = frontend::Server::Start(options);
  if (!server.ok()) {
    Fail(server.status());
    return kExitUnavailable;
  }
  Announce(**server, options, args.json());
  ended.get_future().wait();
  (*server)->Shutdown(args.Real("grace-seconds", 10));
  return kExitOk;
}

}  // namespace

Command ServeCommand() {
  return {
      .spec = {.name = "serve",
               .summary = "run the service: gRPC, metrics, one engine",
               .positionals = "",
               .positionals_min = 0,
               .positionals_max = 0,
               .flags = Join(
                   {{Text("listen", "HOST:PORT",
                          "gRPC (default: 127.0.0.1:7171; port 0 picks one; other than loopback "
                          "needs TLS)"),
                     Text("metrics", "HOST:PORT",
                          "Prometheus and health over HTTP (default: 127.0.0.1:7172; none: off)"),
                     Path("data-dir", "DIR",
                          "state and pages (default: $LECTERN_DATA_DIR or ~/.local/share/lectern)"),
                     Path("tls-certificate", "PEM", "certificate chain"),
                     Path("tls-key", "PEM", "private key"),
                     Integer("ingest-threads", "documents read at once (default: 2)", 1, 256),
                     Integer("jobs-running", "jobs in the engine at once (default: 8)", 1, 4096),
                     Real("grace-seconds", "for running streams at the end (default: 10)", 0, 3600),
                     Switch("no-reflection", "no gRPC reflection service"),
                     Switch("quiet", "log warnings and errors only"),
                     Switch("json", "announce addresses as one JSON object")},
                    EngineFlags()}),
               .details = "Runs until SIGINT or SIGTERM; unfinished jobs go on after the next "
                          "start. Other commands\n"
                          "with the same data directory find this server by themselves.",
               .example = "lectern serve --listen 127.0.0.1:0 --data-dir /var/lib/lectern"},
      .run = RunServe};
}

}  // namespace lectern::cli
