#pragma once
// Following a job: its events in order, without gaps or repeats, over lost connections and server
// restarts.

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "lectern/v1/resources.pb.h"
#include "services/cli/client.h"

namespace lectern::cli {

struct FollowOptions {
  int64_t after_seq = 0;
  // How long a lost server is looked for before giving up with Unavailable.
  double reconnect_seconds = 60;
};

// Calls `receive` for every event with seq > after_seq until the job's last one; false ends it
// early. DataLoss where the server leaves out or repeats a sequence number: that is a fault of the
// service, never passed over in silence.
absl::Status FollowJob(Client& client, const std::string& job, const FollowOptions& options,
                       const std::function<bool(const v1::AnswerEvent&)>& receive);

}  // namespace lectern::cli
