// Who may know whom, as a table, checked against every #include of the tree. Also the small habits
// that a compiler does not see: #pragma once, one spelling of include paths, no machine's own
// paths, no catch-all file names. Failures read FILE:LINE: what.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lectern::tidy {
namespace {

namespace fs = std::filesystem;

// A folder and what its files may include of ours: path prefixes ("engine/cache/") or whole
// headers. The longest matching folder counts. Every folder may include itself.
struct Layer {
  std::string folder;
  std::vector<std::string> may_include;
};

const std::vector<Layer>& Layers() {
  static const std::vector<Layer> layers = {
      {"kernels/", {}},
      {"engine/base/", {}},
      {"engine/config/", {"engine/base/"}},
      {"engine/tokenizer/", {"engine/base/", "engine/config/"}},
      {"engine/weights/", {"engine/base/", "engine/config/", "kernels/"}},
      {"engine/sampling/", {"engine/base/", "engine/config/", "kernels/"}},
      {"engine/parallel/", {"engine/base/", "engine/config/", "kernels/"}},
      {"engine/cache/", {"engine/base/", "engine/config/", "kernels/"}},
      // Block accounting only: the scheduler never sees bytes of a page.
      {"engine/scheduler/", {"engine/base/", "engine/config/", "engine/cache/"}},
      // The cache's views, never its accounting or tiers; and the face that inspect.cc implements.
      {"engine/model/",
       {"engine/base/", "engine/config/", "engine/weights/", "engine/parallel/", "kernels/",
        "engine/cache/kv_layout.h", "engine/inspect.h"}},
      {"engine/runtime/", {"engine/", "kernels/"}},
      {"engine/", {"engine/", "kernels/"}},  // engine.h and inspect.h themselves
      {"services/common/", {"engine/base/", "engine/config/"}},
      {"services/state/", {"engine/base/", "services/common/"}},
      {"services/documents/",
       {"engine/base/", "engine/config/", "engine/tokenizer/", "services/common/",
        "services/state/"}},
      {"services/worker/",
       {"engine/engine.h", "engine/base/", "engine/config/", "engine/sampling/sampling_params.h",
        "services/common/"}},
      {"services/frontend/",
       {"engine/engine.h", "engine/base/", "engine/config/", "engine/tokenizer/",
        "engine/sampling/sampling_params.h", "services/common/", "services/state/",
        "services/documents/", "services/worker/"}},
      // The command line starts the others; it also shows what is inside (logits, verify, bench).
      {"services/cli/",
       {"engine/engine.h", "engine/inspect.h", "engine/base/", "engine/config/",
        "engine/tokenizer/", "engine/sampling/sampling_params.h", "engine/weights/",
        "services/common/", "services/documents/", "services/frontend/"}},
      {"tests/", {"kernels/", "engine/", "services/", "tests/"}},
  };
  return layers;
}

// Where a package's headers may be opened.
struct Package {
  std::string name;
  std::regex include_pattern;       // on the text between <> or ""
  std::vector<std::string> owners;  // and the same folders under tests/
};

const std::vector<Package>& Packages() {
  const auto pattern = [](const char* text) { return std::regex(text, std::regex::optimize); };
  static const std::vector<Package> packages = {
      {"RocksDB", pattern("rocksdb/.*"), {"engine/cache/tiers/", "services/state/"}},
      {"gRPC",
       pattern("(grpc|grpcpp|grpc\\+\\+)/.*|.*\\.grpc\\.pb\\.h"),
       {"services/", "tests/e2e/", "tests/testing/", "tests/bench/"}},
      {"Protobuf",
       pattern("google/(protobuf|rpc)/.*|.*\\.pb\\.h|lectern/v1/.*"),
       {"services/", "tests/e2e/", "tests/testing/", "tests/fuzz/", "tests/bench/"}},
      {"CUDA",
       pattern("(cuda|cublas|cutlass|cute|cub)[A-Za-z0-9_/]*\\.(h|hpp|cuh)|cuda/.*|mma\\.h"),
       {"kernels/cuda/", "tests/kernels/", "tests/bench/"}},
      {"NCCL", pattern("nccl.*"), {"engine/parallel/"}},
      {"oneDNN", pattern("(oneapi/)?dnnl.*"), {"tests/bench/"}},
      {"OpenMP", pattern("omp\\.h"), {"tests/bench/"}},
      {"PCRE2", pattern("pcre2.*"), {"engine/tokenizer/"}},
      {"Gumbo", pattern("gumbo.*"), {"services/documents/"}},
      {"SQLite", pattern("sqlite3.*"), {"services/documents/"}},
      {"Prometheus", pattern("(prometheus|civetweb)/.*|[Cc]ivet.*"), {"services/common/"}},
      {"OpenSSL", pattern("openssl/.*"), {"engine/base/"}},
      {"hiredis", pattern("hiredis.*"), {"engine/cache/tiers/"}},
      {"libpq", pattern("libpq-fe\\.h"), {"services/state/"}},
      {"GoogleTest", pattern("(gtest|gmock)/.*"), {"tests/"}},
  };
  return packages;
}

// Parts that ThreadSanitizer and a simulator run, and code that nvcc or a bare machine compiles:
// standard library only.
bool WithoutAbseil(const std::string& file) {
  if (file.starts_with("engine/scheduler/")) return true;
  if (file.starts_with("kernels/")) {
    return file != "kernels/ops.h" && file != "kernels/dispatch.cc";
  }
  for (const char* stem : {"block_pool.", "block_table.", "prefix_index."}) {
    if (file.starts_with(std::string("engine/cache/") + stem)) return true;
  }
  return false;
}
bool DrawsInAbseil(const std::string& include) {
  return include.starts_with("absl/") || include == "engine/base/status.h";
}

struct Include {
  int line = 0;
  bool quoted = false;
  std::string path;
};

struct Source {
  std::string path;  // relative to the root
  std::vector<std::string> lines;
  std::vector<Include> includes;
};

bool IsSource(const fs::path& path) {
  static const std::set<std::string> kinds = {".h", ".cc", ".cu", ".cuh"};
  return kinds.contains(path.extension().string());
}

Source ReadSource(const fs::path& root, const fs::path& path) {
  static const std::regex include_line(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  Source source{.path = fs::relative(path, root).generic_string(), .lines = {}, .includes = {}};
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    const int number = static_cast<int>(source.lines.size()) + 1;
    if (std::regex_search(line, match, include_line)) {
      source.includes.push_back({number, match[1] == "\"", match[2]});
    }
    source.lines.push_back(std::move(line));
  }
  return source;
}

const std::vector<Source>& Tree() {
  static const std::vector<Source> tree = [] {
    std::vector<Source> sources;
    const fs::path root = LECTERN_SOURCE_DIR;
    for (const char* top : {"kernels", "engine", "services", "tests"}) {
      fs::recursive_directory_iterator walk(root / top), end;
      for (; walk != end; ++walk) {
        if (walk->is_directory() && walk->path().filename().string().starts_with(".")) {
          walk.disable_recursion_pending();
        } else if (walk->is_regular_file() && IsSource(walk->path())) {
          sources.push_back(ReadSource(root, walk->path()));
        }
      }
    }
    std::sort(sources.begin(), sources.end(),
              [](const Source& a, const Source& b) { return a.path < b.path; });
    return sources;
  }();
  return tree;
}

const Layer* LayerOf(const std::string& file) {
  const Layer* best = nullptr;
  for (const Layer& layer : Layers()) {
    if (file.starts_with(layer.folder) &&
        (best == nullptr || layer.folder.size() > best->folder.size())) {
      best = &layer;
    }
  }
  return best;
}

bool StartsWithAny(const std::string& text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return text.starts_with(prefix); });
}

bool IsOurs(const std::string& include) {
  return StartsWithAny(include, {"kernels/", "engine/", "services/", "tests/", "proto/"});
}

// What is wrong with `include` in `file`, or empty.
std::string FaultOf(const std::string& file, const Include& include) {
  if (IsOurs(include.path)) {
    const Layer* layer = LayerOf(file);
    if (layer == nullptr) return "no layer holds this file";
    if (!include.path.starts_with(layer->folder) &&
        !StartsWithAny(include.path, layer->may_include)) {
      return layer->folder + " may not know " + include.path;
    }
  }
  const std::string mirrored = file.starts_with("tests/") ? file.substr(6) : file;
  for (const Package& package : Packages()) {
    if (!IsOurs(include.path) && std::regex_match(include.path, package.include_pattern) &&
        !StartsWithAny(file, package.owners) && !StartsWithAny(mirrored, package.owners)) {
      return package.name + " (" + include.path + ") is not opened here";
    }
  }
  if (WithoutAbseil(file) && DrawsInAbseil(include.path)) {
    return include.path + " brings Abseil where only the standard library may be";
  }
  return "";
}

std::string At(const Source& source, int line) {
  return source.path + ":" + std::to_string(line) + ": ";
}

TEST(Layering, TreeIsFound) {
  ASSERT_GT(Tree().size(), 10U) << "no sources under " LECTERN_SOURCE_DIR;
}

TEST(Layering, EveryIncludeKeepsToTheTable) {
  for (const Source& source : Tree()) {
    for (const Include& include : source.includes) {
      const std::string fault = FaultOf(source.path, include);
      EXPECT_TRUE(fault.empty()) << At(source, include.line) << fault;
    }
  }
}

TEST(Layering, OwnHeadersAreNamedFromTheRoot) {
  const fs::path root = LECTERN_SOURCE_DIR;
  for (const Source& source : Tree()) {
    for (const Include& include : source.includes) {
      EXPECT_EQ(include.path.find(".."), std::string::npos)
          << At(source, include.line) << "relative include " << include.path;
      EXPECT_NE(include.path.front(), '/')
          << At(source, include.line) << "absolute include " << include.path;
      if (IsOurs(include.path)) {
        EXPECT_TRUE(include.quoted) << At(source, include.line) << "own headers stand in quotes";
        EXPECT_TRUE(fs::exists(root / include.path))
            << At(source, include.line) << "no such header: " << include.path;
      }
    }
  }
}

TEST(Layering, TableHasNoCycle) {
  std::map<std::string, int> state;  // 1: being visited, 2: done
  std::function<void(const Layer&)> visit = [&](const Layer& layer) {
    state[layer.folder] = 1;
    for (const std::string& known : layer.may_include) {
      // Whole trees and the engine's face: those who name them stand above all of it.
      if (known == "engine/" || known == "services/" || known == "engine/engine.h" ||
          known == "engine/inspect.h") {
        continue;
      }
      const Layer* next = LayerOf(known);
      ASSERT_NE(next, nullptr) << layer.folder << " names an unknown folder " << known;
      if (next->folder == layer.folder) continue;
      ASSERT_NE(state[next->folder], 1)
          << layer.folder << " and " << next->folder << " know each other";
      if (state[next->folder] == 0) visit(*next);
    }
    state[layer.folder] = 2;
  };
  for (const Layer& layer : Layers()) {
    if (state[layer.folder] == 0) visit(layer);
  }
}

// The rules themselves: what must be refused is refused.
TEST(Layering, RefusesWhatTheTableForbids) {
  const auto fault = [](const char* file, const char* include) {
    return !FaultOf(file, {.line = 1, .quoted = true, .path = include}).empty();
  };
  EXPECT_TRUE(fault("engine/model/forward.cc", "engine/scheduler/scheduler.h"));
  EXPECT_TRUE(fault("engine/model/forward.cc", "engine/cache/block_pool.h"));
  EXPECT_TRUE(fault("engine/base/log.cc", "engine/config/model_config.h"));
  EXPECT_TRUE(fault("kernels/cpu/gemm.cc", "engine/base/check.h"));
  EXPECT_TRUE(fault("services/cli/ask.cc", "engine/model/model.h"));
  EXPECT_TRUE(fault("services/cli/ask.cc", "rocksdb/db.h"));
  EXPECT_TRUE(fault("engine/cache/block_pool.cc", "rocksdb/db.h"));
  EXPECT_TRUE(fault("engine/runtime/engine.cc", "grpcpp/grpcpp.h"));
  EXPECT_TRUE(fault("engine/runtime/engine.cc", "lectern/v1/resources.pb.h"));
  EXPECT_TRUE(fault("kernels/cpu/gemm.cc", "cuda_runtime.h"));
  EXPECT_TRUE(fault("kernels/cuda/params.h", "absl/status/status.h"));
  EXPECT_TRUE(fault("engine/scheduler/scheduler.h", "engine/base/status.h"));
  EXPECT_TRUE(fault("services/state/store.cc", "tests/testing/fake.h"));
  EXPECT_FALSE(fault("engine/cache/tiers/rocksdb_tier.cc", "rocksdb/db.h"));
  EXPECT_FALSE(fault("kernels/cuda/topk.cu", "cuda_runtime.h"));
  EXPECT_FALSE(fault("services/cli/ask.cc", "services/frontend/server.h"));
}

TEST(Tidy, HeadersHavePragmaOnce) {
  for (const Source& source : Tree()) {
    if (!source.path.ends_with(".h") && !source.path.ends_with(".cuh")) continue;
    EXPECT_TRUE(std::find(source.lines.begin(), source.lines.end(), "#pragma once") !=
                source.lines.end())
        << At(source, 1) << "no #pragma once";
  }
}

// A path of one machine works on no other. Matched where a path can begin, so that URLs pass.
TEST(Tidy, NoPathOfOneMachine) {
  const std::regex machine_path(R"re((^|["'\s=(,])/(home|root|work|farm|mnt|Users)/)re");
  for (const Source& source : Tree()) {
    for (size_t i = 0; i < source.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(source.lines[i], machine_path))
          << At(source, static_cast<int>(i) + 1) << source.lines[i];
    }
  }
}

TEST(Tidy, NamesSayTheResponsibility) {
  const std::regex catch_all(R"((^|.*[/_])(utils?|helpers?|managers?|misc)(_test)?([/.].*))");
  for (const Source& source : Tree()) {
    EXPECT_FALSE(std::regex_match(source.path, catch_all)) << At(source, 1) << "a catch-all name";
  }
}

// Not a limit: a list of files at which to look again.
TEST(Tidy, ListsLongFiles) {
  constexpr size_t kLines = 500;
  std::string longest;
  for (const Source& source : Tree()) {
    if (source.lines.size() <= kLines) continue;
    longest += "  " + source.path + " (" + std::to_string(source.lines.size()) + " lines)\n";
  }
  RecordProperty("long_files", longest);
  if (!longest.empty()) std::printf("past %zu lines, look again:\n%s", kLines, longest.c_str());
  SUCCEED();
}

}  // namespace
}  // namespace lectern::tidy
