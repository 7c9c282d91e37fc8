#pragma once
// Flags that many commands share: where the service is, how an engine in this process is set up,
// how to answer.

#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "lectern/v1/resources.pb.h"
#include "services/cli/args.h"
#include "services/cli/client.h"

namespace lectern::cli {

// --model and the engine's settings: for `serve`, and for commands that run without a server.
std::vector<Flag> EngineFlags();
// --index-topk-pattern, --index-topk-freq, --index-skip-topk-offset, --latent-norm-eps.
std::vector<Flag> PatternFlags();
// --server, --data-dir, --json, --verbose.
std::vector<Flag> ClientFlags();
// --max-new-tokens, --temperature and so on.
std::vector<Flag> AnswerFlags();

std::vector<Flag> Join(std::vector<std::vector<Flag>> groups);

config::IndexCacheOverride PatternFrom(const Args& args);
// NotFound: no model. The disk tier's directory stays empty: the server puts it under its data
// directory.
absl::StatusOr<config::EngineConfig> EngineConfigFrom(const Args& args);
v1::AnswerOptions AnswerOptionsFrom(const Args& args);

enum class Needs { kEngine, kDocumentsOnly };
// Connects as the flags say; a server in this process loads the model only where the command needs
// an engine. `args` must declare ClientFlags and EngineFlags.
absl::StatusOr<std::unique_ptr<Client>> ConnectFrom(const Args& args, Needs needs);

// Logs below warnings are dropped unless --verbose: standard error belongs to the command's own
// words.
void SetLogLevel(const Args& args);

}  // namespace lectern::cli
