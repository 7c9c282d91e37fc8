#pragma once
// Whether each service can do its work now, and who wants to know. Free of gRPC; server.cc copies
// it to grpc.health.v1 and the metrics port to /healthz.

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace lectern::common {

// Thread safe.
class HealthState {
 public:
  using Listener = std::function<void(const std::string& service, bool serving)>;

  // Called under the lock, at once for every known service and then on each change; must not block.
  void Listen(Listener listener);
  void Set(std::string_view service, bool serving);
  // After Drain everything stays NOT_SERVING.
  void Drain();
  bool draining() const;
  // False where any service is not serving, or none is known.
  bool AllServing() const;
  // Names of services that do not serve.
  std::vector<std::string> NotServing() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, bool, std::less<>> serving_;
  std::vector<Listener> listeners_;
  bool draining_ = false;
};

}  // namespace lectern::common
