// `lectern stats` and `lectern cache`: what the service holds and whether it is sound.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/cli/answer_view.h"
#include "services/cli/client.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

std::string StatsText(const v1::Stats& stats, const std::string& target) {
  return absl::StrCat(
      "server     ", target, ", version ", stats.version(), ", up ",
      SecondsText(stats.uptime_seconds()), "\nmodel      ", stats.model(), ", layers ",
      stats.pattern(), ", on ", stats.device(), " (", stats.numerics_id(), ")\ncontext    ",
      stats.max_context(), " tokens, reliable to ", stats.reliable_context(), "\nrequests   ",
      stats.requests_running(), " running, ", stats.requests_waiting(), " waiting\npages      ",
      stats.pages_total(), " in memory: ", stats.pages_free(), " free, ", stats.pages_cached(),
      " cached, ", stats.pages_leaked(), " leaked\ndisk       ", stats.disk_pages(), " pages, ",
      BytesText(stats.disk_bytes()), "\nstored     ", stats.documents(), " documents, ",
      stats.jobs(), " jobs, ", stats.sessions(), " sessions\nresident   ",
      BytesText(stats.resident_bytes()), "\n");
}

int RunStats(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<v1::Stats> stats = (*client)->GetStats();
  if (!stats.ok()) return Fail(stats.status());
  args.json() ? PrintJson(ProtoJson(*stats)) : PrintText(StatsText(*stats, (*client)->target()));
  return kExitOk;
}

std::string CacheText(const v1::CacheStatsResponse& cache) {
  std::string text = absl::StrCat("a page holds ", cache.page_tokens(), " tokens in ",
                                  BytesText(cache.page_bytes()), "\n");
  for (const v1::CacheStatsResponse::Tier& tier : cache.tiers()) {
    absl::StrAppend(&text, absl::StrFormat("%-8s %8d pages  %10s", tier.name(), tier.pages(),
                                           BytesText(tier.bytes())));
    if (tier.capacity_bytes() > 0) absl::StrAppend(&text, " of ", BytesText(tier.capacity_bytes()));
    absl::StrAppend(&text, "\n");
  }
  absl::StrAppend(&text, cache.integrity_failures(), " pages failed their checks\n");
  for (const auto& [reason, count] : cache.miss_reasons()) {
    absl::StrAppend(&text, "missed  ", reason, ": ", count, "\n");
  }
  return text;
}

int RunCacheStats(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<v1::CacheStatsResponse> cache = (*client)->CacheStats();
  if (!cache.ok()) return Fail(cache.status());
  args.json() ? PrintJson(ProtoJson(*cache)) : PrintText(CacheText(*cache));
  return kExitOk;
}

int RunCacheVerify(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<v1::VerifyCacheResponse> report = (*client)->VerifyCache();
  if (!report.ok()) return Fail(report.status());
  if (args.json()) {
    PrintJson(ProtoJson(*report));
  } else {
    for (const std::string& problem : report->problems()) PrintText(problem + "\n");
    PrintText(
        absl::StrCat(report->pages_checked(), " pages checked, ", report->pages_bad(), " bad\n"));
  }
  return report->pages_bad() > 0 ? kExitFailed : kExitOk;
}

int RunCacheEvict(const Args& args) {
  const absl::StatusOr<std::unique_ptr<Client>> client = ConnectFrom(args, Needs::kEngine);
  if (!client.ok()) return Fail(client.status());
  const std::string tier = args.Text("tier", "all");
  v1::EvictCacheRequest request;
  request.set_memory(tier != "disk");
  request.set_disk(tier != "memory");
  const absl::StatusOr<v1::EvictCacheResponse> report = (*client)->EvictCache(request);
  if (!report.ok()) return Fail(report.status());
  if (args.json()) {
    PrintJson(ProtoJson(*report));
  } else {
    PrintText(absl::StrCat(report->pages_evicted(), " pages evicted\n"));
  }
  return kExitOk;
}

Command Make(const char* name, const char* summary, std::vector<Flag> own_flags,
             const char* example, int (*run)(const Args&)) {
  return {.spec = {.name = name,
                   .summary = summary,
                   .positionals = "",
                   .positionals_min = 0,
                   .positionals_max = 0,
                   .flags = Join({std::move(own_flags), ClientFlags(), EngineFlags()}),
                   .details = "",
                   .example = example},
          .run = run};
}

}  // namespace

Command StatsCommand() {
  return Make("stats", "what the service runs and holds", {}, "lectern stats --json", RunStats);
}

std::vector<Command> CacheCommands() {
  return {
      Make("cache stats", "pages and bytes by tier, and why pages were missed", {},
           "lectern cache stats", RunCacheStats),
      Make("cache verify", "check every page of the store on disk; exit code 1 where one is bad",
           {}, "lectern cache verify --json", RunCacheVerify),
      Make("cache evict", "drop pages that no request holds",
           {Choice("tier", {"memory", "disk", "all"}, "which tier (default: all)")},
           "lectern cache evict --tier memory", RunCacheEvict),
  };
}

}  // namespace lectern::cli
