#pragma once
// The whole service in one process: state, documents, one in-process worker, gRPC and the metrics
// port. `lectern serve` runs it on a port; other commands, where no server holds the data
// directory, run it on an in-process channel, so that there is one code path. gRPC stays out of
// this header but for the channel.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace lectern::frontend {

struct ServerOptions {
  std::string data_directory;   // state/, pages/, server.lock
  config::EngineConfig engine;  // disk_tier_directory empty: data_directory/pages/
  // host:port; empty: no port, in process only. Port 0 picks one. Other than loopback is refused
  // without TLS.
  std::string listen_address = "127.0.0.1:7171";
  std::string metrics_address = "127.0.0.1:7172";  // empty: none
  std::string tls_certificate_file;
  std::string tls_key_file;
  bool reflection = true;
  int ingest_threads = 2;
  int jobs_running_max = 8;  // jobs whose questions are in the engine at once
  bool start_engine = true;  // false: documents and stored jobs only (doc commands need no model)
};

class Server {
 public:
  virtual ~Server() = default;
  // FailedPrecondition: another process holds the data directory. Otherwise the model's or the
  // state's error, named.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  // "127.0.0.1:43210"; empty where there is no port.
  virtual std::string address() const = 0;
  virtual std::string metrics_address() const = 0;
  // For callers in this process.
  virtual std::shared_ptr<grpc::Channel> InProcessChannel() = 0;
  // Health turns NOT_SERVING, new work is refused with UNAVAILABLE, streams get `grace_seconds`,
  // tiers are flushed. Unfinished jobs stay stored and go on after the next start.
  virtual void Shutdown(double grace_seconds) = 0;
  virtual void Wait() = 0;
};

// The address of the server that holds `data_directory` now; NotFound where none does. Reads
// server.lock (held by flock, so that a stale file is no server).
absl::StatusOr<std::string> FindServer(const std::string& data_directory);

}  // namespace lectern::frontend
