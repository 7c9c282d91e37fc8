// The sockets: gRPC with its limits, health, reflection, and the metrics port around a
// ServerRuntime.
#include "services/frontend/server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/log.h"
#include "engine/base/status.h"
#include "services/common/metrics_endpoint.h"
#include "services/frontend/listen_address.h"
#include "services/frontend/rpc_calls.h"
#include "services/frontend/rpc_services.h"
#include "services/frontend/server_runtime.h"

namespace lectern::frontend {
namespace {

// A chunk of 1 MiB and its envelope, with room; larger messages are refused before they are read.
constexpr int kMessageBytesMax = 4 << 20;
constexpr size_t kQuotaBytes = 512 << 20;
constexpr int kConcurrentStreamsMax = 1024;  // of one connection
constexpr int kMetadataBytesMax = 16 << 10;
constexpr int kKeepaliveMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kClientPingsMs = 10'000;  // clients may ping this often
// Connections are renewed, so that clients find other front ends; watches go on with after_seq.
constexpr int kConnectionAgeMs = 3'600'000;
constexpr int kConnectionAgeGraceMs = 600'000;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(
    const ServerOptions& options) {
  if (options.tls_certificate_file.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions tls;
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  ASSIGN_OR_RETURN(pair.cert_chain, ReadFile(options.tls_certificate_file));
  ASSIGN_OR_RETURN(pair.private_key, ReadFile(options.tls_key_file));
  tls.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(tls);
}

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  grpc::ResourceQuota quota("lectern");
  quota.Resize(kQuotaBytes);
  builder.SetResourceQuota(quota);
  const auto set = [&](const char* name, int value) { builder.AddChannelArgument(name, value); };
  set(GRPC_ARG_MAX_CONCURRENT_STREAMS, kConcurrentStreamsMax);
  set(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  set(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kClientPingsMs);
  set(GRPC_ARG_MAX_CONNECTION_AGE_MS, kConnectionAgeMs);
  set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kConnectionAgeGraceMs);
  // Two servers on one port would share its connections without anybody noticing.
  set(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(std::unique_ptr<ServerRuntime> runtime)
      : runtime_(std::move(runtime)),
        rpc_{runtime_->calls(), runtime_->ingest(), runtime_->metrics(), runtime_->clock()} {}
  ~GrpcServer() override { Shutdown(0); }

  absl::Status Open(const ServerOptions& options) {
    services_.push_back(MakeDocumentsService(rpc_, runtime_->documents(), runtime_->answers()));
    services_.push_back(MakeJobsService(rpc_, runtime_->jobs()));
    services_.push_back(MakeSessionsService(rpc_, runtime_->sessions()));
    services_.push_back(MakeAdminService(rpc_, runtime_->statistics()));
    RETURN_IF_ERROR(Listen(options));
    ForwardHealth();
    if (!options.metrics_address.empty()) {
      ASSIGN_OR_RETURN(metrics_,
                       common::MetricsEndpoint::Start(
                           {.address = options.metrics_address,
                            .metrics = &runtime_->metrics(),
                            .health = &runtime_->health(),
                            .before_scrape = [this] { runtime_->statistics().RefreshGauges(); }}));
    }
    return runtime_->lock().PublishAddress(address_);
  }

  std::string address() const override { return address_; }
  std::string metrics_address() const override { return metrics_ ? metrics_->address() : ""; }
  std::shared_ptr<grpc::Channel> InProcessChannel() override {
    return server_->InProcessChannel(grpc::ChannelArguments());
  }

  void Shutdown(double grace_seconds) override {
    const std::lock_guard lock(shutdown_mutex_);
    if (ended_) return;
    runtime_->health().Drain();
    if (server_) {
      const auto grace = std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::duration<double>(grace_seconds));
      server_->Shutdown(std::chrono::system_clock::now() + grace);
      server_->Wait();
    }
    metrics_.reset();
    runtime_->Stop();
    server_.reset();
    services_.clear();
    runtime_.reset();
    ended_ = true;
    end_.notify_all();
  }

  void Wait() override {
    std::unique_lock lock(shutdown_mutex_);
    end_.wait(lock, [this] { return ended_; });
  }

 private:
  absl::Status Listen(const ServerOptions& options) {
    grpc::ServerBuilder builder;
    SetLimits(builder);
    int port = 0;
    if (!options.listen_address.empty()) {
      RETURN_IF_ERROR(CheckListenAddress(options.listen_address, options.tls_certificate_file,
                                         options.tls_key_file));
      ASSIGN_OR_RETURN(auto credentials, MakeCredentials(options));
      builder.AddListeningPort(options.listen_address, std::move(credentials), &port);
    }
    for (const auto& service : services_) builder.RegisterService(service.get());
    server_ = builder.BuildAndStart();
    if (!server_ || (!options.listen_address.empty() && port == 0)) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen_address));
    }
    if (port != 0) {
      const std::string& asked = options.listen_address;
      address_ = absl::StrCat(asked.substr(0, asked.rfind(':')), ":", port);
    }
    return absl::OkStatus();
  }

  void ForwardHealth() {
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    if (health == nullptr) return;
    // The server ends after the runtime's last change of health: Drain, in Shutdown.
    runtime_->health().Listen([this, health](const std::string& service, bool serving) {
      health->SetServingStatus(service, serving);
      serving_[service] = serving;
      bool all = true;
      for (const auto& [name, is_serving] : serving_) all = all && is_serving;
      health->SetServingStatus("", all);
    });
  }

  std::unique_ptr<ServerRuntime> runtime_;
  RpcContext rpc_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<common::MetricsEndpoint> metrics_;
  std::string address_;
  std::map<std::string, bool> serving_;  // guarded by the health state's lock
  std::mutex shutdown_mutex_;            // held until everything has ended
  std::condition_variable end_;
  bool ended_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  if (!options.listen_address.empty()) {
    // Before anything is opened or loaded.
    RETURN_IF_ERROR(CheckListenAddress(options.listen_address, options.tls_certificate_file,
                                       options.tls_key_file));
  }
  // These are settings of the process, read by every builder after them. Protobuf would print a
  // line for each malformed request, which whoever sends them could fill a disk with; the caller
  // gets the error.
  google::protobuf::SetLogHandler(nullptr);
  grpc::EnableDefaultHealthCheckService(true);
  if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  ASSIGN_OR_RETURN(auto runtime, ServerRuntime::Start(options));
  auto server = std::make_unique<GrpcServer>(std::move(runtime));
  RETURN_IF_ERROR(server->Open(options));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace lectern::frontend
