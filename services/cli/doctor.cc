// `lectern doctor`: whether this machine, its packages, the model and the data directory can do the
// work.

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/clock.h"
#include "engine/base/metrics.h"
#include "engine/engine.h"
#include "services/cli/client.h"
#include "services/cli/command.h"
#include "services/cli/connect_flags.h"
#include "services/cli/locations.h"
#include "services/cli/terminal.h"

namespace lectern::cli {
namespace {

namespace fs = std::filesystem;

enum class Verdict { kOk, kWarn, kFail };

struct Finding {
  std::string check;
  Verdict verdict = Verdict::kOk;
  std::string message;
};

const char* VerdictText(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kFail:
      break;
  }
  return "FAIL";
}

Finding CheckProcessor() {
  std::vector<std::string> sets;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) sets.emplace_back("AVX2");
  if (__builtin_cpu_supports("avx512f")) sets.emplace_back("AVX-512");
  if (__builtin_cpu_supports("avx512vnni")) sets.emplace_back("VNNI");
  if (__builtin_cpu_supports("avx512bf16")) sets.emplace_back("BF16");
#endif
  const std::string cores = absl::StrCat(std::thread::hardware_concurrency(), " cores");
  if (sets.empty()) return {"processor", Verdict::kWarn, cores + ", no AVX2: answers will be slow"};
  return {"processor", Verdict::kOk, absl::StrCat(cores, ", ", absl::StrJoin(sets, ", "))};
}

Finding CheckMemory() {
  std::ifstream in("/proc/meminfo");
  int64_t available_kib = 0;
  for (std::string word; in >> word;) {
    if (word == "MemAvailable:") in >> available_kib;
  }
  constexpr int64_t kWantedKib = 4LL
                                 << 20;  // what serving the default model at 64K tokens may take
  const std::string text = BytesText(available_kib * 1024) + " available";
  if (available_kib >= kWantedKib) return {"memory", Verdict::kOk, text};
  return {"memory", Verdict::kWarn, text + "; long documents may need 4 GiB (see --kv-cache-mib)"};
}

Finding CheckProgram(const std::string& program, const std::string& package,
                     const std::string& purpose) {
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe)
  for (const std::string& folder :
       std::vector<std::string>(absl::StrSplit(path == nullptr ? "" : path, ':'))) {
    const std::string file = folder + "/" + program;
    if (access(file.c_str(), X_OK) == 0) return {program, Verdict::kOk, file};
  }
  return {program, Verdict::kWarn,
          absl::StrCat("not found: ", purpose, " will fail; apt-get install ", package)};
}

struct DiskSpeed {
  double write_mb_per_s = 0;
  double read_mb_per_s = 0;
};

// 64 MiB written and synced, then read back (from the page cache as it is). A rough figure.
absl::StatusOr<DiskSpeed> MeasureDisk(const std::string& directory) {
  const std::string path = directory + "/doctor.tmp";
  const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) return absl::PermissionDeniedError(absl::StrCat(directory, " is not writable"));
  constexpr size_t kBlock = 1 << 20;
  constexpr int kBlocks = 64;
  std::string block(kBlock, 'x');
  const auto seconds_since = [](std::chrono::steady_clock::time_point begin) {
    return base::Seconds(std::chrono::steady_clock::now() - begin);
  };
  bool ok = true;
  const auto write_begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kBlocks && ok; ++i) {
    ok = write(file, block.data(), kBlock) == static_cast<ssize_t>(kBlock);
  }
  ok = ok && fdatasync(file) == 0;
  const double write_seconds = seconds_since(write_begin);
  const auto read_begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kBlocks && ok; ++i) {
    ok = pread(file, block.data(), kBlock, static_cast<off_t>(kBlock) * i) ==
         static_cast<ssize_t>(kBlock);
  }
  const double read_seconds = seconds_since(read_begin);
  close(file);
  unlink(path.c_str());
  if (!ok) return absl::ResourceExhaustedError(absl::StrCat(directory, ": writing 64 MiB failed"));
  const double megabytes = static_cast<double>(kBlock) * kBlocks / 1e6;
  return DiskSpeed{megabytes / write_seconds, megabytes / read_seconds};
}

std::vector<Finding> CheckDataDirectory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return {{"data", Verdict::kFail, absl::StrCat(directory, ": ", error.message())}};
  const absl::StatusOr<DiskSpeed> speed = MeasureDisk(directory);
  if (!speed.ok()) return {{"data", Verdict::kFail, std::string(speed.status().message())}};
  std::vector<Finding> findings;
  struct statvfs space = {};
  statvfs(directory.c_str(), &space);
  const auto free_bytes =
      static_cast<int64_t>(space.f_bavail) * static_cast<int64_t>(space.f_frsize);
  const bool tight = free_bytes < (2LL << 30);
  findings.push_back({"data", tight ? Verdict::kWarn : Verdict::kOk,
                      absl::StrCat(directory, " is writable, ", BytesText(free_bytes), " free",
                                   tight ? ": little for a page store" : "")});
  const bool slow = speed->write_mb_per_s < 100;
  findings.push_back({"disk", slow ? Verdict::kWarn : Verdict::kOk,
                      absl::StrFormat("writes %.0f MB/s (synced), reads %.0f MB/s (page cache)%s",
                                      speed->write_mb_per_s, speed->read_mb_per_s,
                                      slow ? ": warm answers from disk will be slow" : "")});
  return findings;
}

Finding CheckModel(const Args& args) {
  absl::StatusOr<config::EngineConfig> config = EngineConfigFrom(args);
  if (!config.ok()) return {"model", Verdict::kFail, std::string(config.status().message())};
  config->kv_cache_bytes = 32LL << 20;  // enough to load and to ask one short question
  base::NoMetrics metrics;
  const auto begin = std::chrono::steady_clock::now();
  const absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Create(*config, metrics, base::SystemClock());
  if (!engine.ok()) return {"model", Verdict::kFail, std::string(engine.status().message())};
  const EngineInfo& info = (*engine)->info();
  return {"model", Verdict::kOk,
          absl::StrCat(info.model_name, " loads in ",
                       SecondsText(base::Seconds(std::chrono::steady_clock::now() - begin)),
                       ", layers ", info.pattern, ", ", info.numerics_id)};
}

// A server is optional; one that holds the directory and does not answer is a fault.
Finding CheckServer(const Args& args, const std::string& directory) {
  ConnectOptions options;
  options.server = args.Text("server");
  options.embedded.data_directory = directory;
  if (options.server.empty()) {
    const absl::StatusOr<std::string> holder = frontend::FindServer(directory);
    if (!holder.ok()) {
      return {"server", Verdict::kOk,
              "none holds the data directory; commands run the engine themselves"};
    }
    options.server = *holder;
  }
  const absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(options);
  if (!client.ok()) return {"server", Verdict::kFail, std::string(client.status().message())};
  const absl::StatusOr<v1::Stats> stats = (*client)->GetStats();
  if (!stats.ok()) return {"server", Verdict::kFail, std::string(stats.status().message())};
  return {"server", stats->pages_leaked() == 0 ? Verdict::kOk : Verdict::kFail,
          absl::StrCat(options.server, " answers: version ", stats->version(), ", model ",
                       stats->model(), ", ", stats->pages_leaked(), " pages leaked")};
}

int RunDoctor(const Args& args) {
  SetLogLevel(args);
  const std::string directory = DataDirectory(args.Text("data-dir"));
  std::vector<Finding> findings = {CheckProcessor(), CheckMemory(),
                                   CheckProgram("pdftotext", "poppler-utils", "reading PDF files")};
  for (Finding& finding : CheckDataDirectory(directory)) findings.push_back(std::move(finding));
  findings.push_back(CheckModel(args));
  findings.push_back(CheckServer(args, directory));

  bool failed = false;
  for (const Finding& finding : findings) {
    failed = failed || finding.verdict == Verdict::kFail;
    if (args.json()) {
      PrintJson(
          {{"check", finding.check},
           {"verdict", finding.verdict == Verdict::kFail ? "fail" : VerdictText(finding.verdict)},
           {"message", finding.message}});
    } else {
      PrintText(absl::StrFormat("%-4s  %-10s %s\n", VerdictText(finding.verdict), finding.check,
                                finding.message));
    }
  }
  return failed ? kExitFailed : kExitOk;
}

}  // namespace

Command DoctorCommand() {
  return {
      .spec = {.name = "doctor",
               .summary =
                   "check this machine, the packages, the model, the data directory and the server",
               .positionals = "",
               .positionals_min = 0,
               .positionals_max = 0,
               .flags = Join({ClientFlags(), EngineFlags()}),
               .details = "One line a check: ok, warn or FAIL. Exit code 1 where one failed.",
               .example = "lectern doctor"},
      .run = RunDoctor};
}

}  // namespace lectern::cli
