#pragma once
// Prefills documents now, so that the first question about them is already warm.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lectern/v1/services.pb.h"
#include "services/frontend/answerer.h"

namespace lectern::frontend {

// Thread safe. One request of the engine for one token, which is dropped: its pages are what
// counts.
class WarmRun : public std::enable_shared_from_this<WarmRun> {
 public:
  // Builds the prompt on the caller's thread and submits it. Errors as PromptBuilder::BuildWhole
  // and Engine::Submit. `changed` is called when there is news, on the engine's thread: must not
  // block.
  static absl::StatusOr<std::shared_ptr<WarmRun>> Start(const AnswerContext& context,
                                                        const std::vector<std::string>& documents,
                                                        std::function<void()> changed);
  // Frees everything within one step.
  void Cancel();

  struct News {
    v1::WarmProgress progress;
    bool last = false;
    absl::Status status;  // with `last`
  };
  // What has not been taken yet.
  std::optional<News> Take();

 private:
  explicit WarmRun(const AnswerContext& context) : context_(context) {}
  void OnProgress(int64_t done);
  void OnFinished(const Finished& finished);

  const AnswerContext context_;
  std::function<void()> changed_;
  std::mutex mutex_;
  std::optional<RequestId> request_id_;
  bool cancelled_ = false;
  bool finished_ = false;
  int64_t total_ = 0;
  std::vector<News> news_;
};

}  // namespace lectern::frontend
