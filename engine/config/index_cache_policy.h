#pragma once
// IndexCache: which layers run the lightning indexer (Full) and which reuse the nearest Full
// layer's choice before them (Shared). Source: IndexCache (arXiv 2603.12201); one loader rule for
// every published way to write the schedule.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lectern::config {

// The fields as config.json gives them; absent and null are the same.
struct IndexCacheFields {
  std::optional<std::vector<bool>> indexer_types;  // true = full
  std::optional<std::string> index_topk_pattern;   // over F and S, upper case
  std::optional<int> index_topk_freq;
  std::optional<int> index_skip_topk_offset;
  std::optional<bool> use_index_cache;
};

// What the command line says; beats the checkpoint. At most one of the two forms; letters of either
// case. A frequency without an offset takes the file's offset where it has one, as overriding
// single fields of config.json does in other engines.
struct IndexCacheOverride {
  std::optional<std::string> index_topk_pattern;
  std::optional<int> index_topk_freq;
  std::optional<int> index_skip_topk_offset;
};

struct IndexCachePolicy {
  std::vector<bool> full;  // [num_hidden_layers]; layer 0 is always Full
  int num_layers() const { return static_cast<int>(full.size()); }
  int num_full() const;
  // The Full layer whose choice layer `layer` uses: itself, or the nearest Full one before it.
  int source_layer(int layer) const;
  // Rank of a Full layer among the Full ones: the index of its key cache. -1 for a Shared layer.
  int full_index(int layer) const;
  std::string pattern() const;  // "FSSS…", part of every page key
};

// Precedence: override > indexer_types > index_topk_pattern > frequency with offset (default 2):
// F iff max(i - offset + 1, 0) mod freq == 0. Appends a line to `warnings` where lower-ranking
// fields of the file disagree. `has_indexer[i]`: the checkpoint holds indexer weights for layer i.
// InvalidArgument: wrong length or letters, layer 0 Shared, offset < 1, or a Full layer without
// indexer weights (named).
absl::StatusOr<IndexCachePolicy> MakeIndexCachePolicy(int num_hidden_layers,
                                                      const IndexCacheFields& fields,
                                                      const IndexCacheOverride& override_fields,
                                                      const std::vector<bool>& has_indexer,
                                                      std::vector<std::string>* warnings);

}  // namespace lectern::config
