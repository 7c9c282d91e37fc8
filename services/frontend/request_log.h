#pragma once
// request_id: the same id within 24 hours gives the same reply, also after a restart.

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "services/state/state_store.h"

namespace lectern::frontend {

// Thread safe.
class RequestLog {
 public:
  // Both must outlive the log.
  RequestLog(state::StateStore& store, const base::Clock& clock);

  // Hands the reply to the call's own atomic write, so that effect and memory of it stand or fall
  // together. Adds nothing where the request has no id.
  using Remember =
      std::function<void(std::string_view reply, std::vector<state::Mutation>& mutations)>;

  // Runs `work` once for each (method, request_id): a repeated request gets the stored reply
  // without work, a concurrent one waits for the first. Empty id: always runs. `request` is the
  // serialised request; InvalidArgument where the id came with another one before. A failed call is
  // not remembered.
  absl::StatusOr<std::string> Once(
      std::string_view method, std::string_view request_id, std::string_view request,
      const std::function<absl::StatusOr<std::string>(const Remember&)>& work);

  // The same for a typed call whose work has no write of its own to join: the reply is stored
  // afterwards.
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> OnceAfter(std::string_view method, const Request& request,
                                  const std::function<absl::StatusOr<Reply>()>& work) {
    const auto serialised = Once(method, request.request_id(), request.SerializeAsString(),
                                 [&](const Remember& remember) -> absl::StatusOr<std::string> {
                                   absl::StatusOr<Reply> reply = work();
                                   if (!reply.ok()) return reply.status();
                                   std::string bytes = reply->SerializeAsString();
                                   std::vector<state::Mutation> mutations;
                                   remember(bytes, mutations);
                                   if (mutations.empty()) return bytes;
                                   const absl::Status stored =
                                       store_.Write(mutations, state::Durability::kSynced);
                                   if (!stored.ok()) return stored;
                                   return bytes;
                                 });
    if (!serialised.ok()) return serialised.status();
    Reply reply;
    if (!reply.ParseFromString(*serialised)) return absl::DataLossError("stored reply is damaged");
    return reply;
  }

  // Deletes what is older than 24 hours.
  absl::Status Sweep();

 private:
  absl::StatusOr<std::optional<std::string>> Find(const std::string& key,
                                                  std::string_view request) const;

  state::StateStore& store_;
  const base::Clock& clock_;
  // By hash of the id: two calls of one id never run at once.
  std::array<std::mutex, 32> stripes_;
};

}  // namespace lectern::frontend
