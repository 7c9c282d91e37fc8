#include "engine/config/index_cache_policy.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/status.h"

namespace lectern::config {
namespace {

// F iff max(i - offset + 1, 0) mod freq == 0: the reading of transformers, vLLM, SGLang and
// TRT-LLM. The default of 2 is the original patches' max(i - 1, 0), which makes layers 0 and 1
// Full.
constexpr int kDefaultOffset = 2;

struct Schedule {
  std::vector<bool> full;
  std::string source;  // the field that gave it, for messages
};

absl::StatusOr<std::vector<bool>> FromPattern(std::string_view pattern, size_t num_layers) {
  if (pattern.size() < num_layers) {
    return absl::InvalidArgumentError(absl::StrCat("index_topk_pattern: ", pattern.size(),
                                                   " letters for ", num_layers, " layers"));
  }
  std::vector<bool> full;
  for (const char letter : pattern) {
    const bool is_full = letter == 'F' || letter == 'f';
    if (!is_full && letter != 'S' && letter != 's') {
      return absl::InvalidArgumentError("index_topk_pattern: may hold the letters F and S only");
    }
    full.push_back(is_full);
  }
  // What lies beyond the last layer speaks of draft layers, which are always Full.
  full.resize(num_layers);
  return full;
}

absl::StatusOr<std::vector<bool>> FromFrequency(int freq, std::optional<int> given_offset,
                                                size_t num_layers) {
  const int64_t offset = given_offset.value_or(kDefaultOffset);
  if (offset < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("index_skip_topk_offset: ", offset, " is less than 1"));
  }
  std::vector<bool> full(num_layers);
  for (size_t layer = 0; layer < num_layers; ++layer) {
    const int64_t phase = std::max<int64_t>(static_cast<int64_t>(layer) - offset + 1, 0);
    full[layer] = phase % std::max(freq, 1) == 0;
  }
  return full;
}

absl::StatusOr<Schedule> FromOverride(const IndexCacheFields& fields,
                                      const IndexCacheOverride& override_fields,
                                      size_t num_layers) {
  if (override_fields.index_topk_pattern) {
    if (override_fields.index_topk_freq || override_fields.index_skip_topk_offset) {
      return absl::InvalidArgumentError(
          "index_topk_pattern and index_topk_freq are both given as overrides; give one");
    }
    ASSIGN_OR_RETURN(std::vector<bool> full,
                     FromPattern(*override_fields.index_topk_pattern, num_layers));
    return Schedule{std::move(full), "the index_topk_pattern override"};
  }
  if (!override_fields.index_topk_freq) {
    return absl::InvalidArgumentError("index_skip_topk_offset: needs index_topk_freq beside it");
  }
  if (*override_fields.index_topk_freq < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("index_topk_freq: ", *override_fields.index_topk_freq, " is less than 1"));
  }
  // Field by field, as other engines apply overrides: an offset that is not given is the file's.
  const std::optional<int> offset = override_fields.index_skip_topk_offset
                                        ? override_fields.index_skip_topk_offset
                                        : fields.index_skip_topk_offset;
  ASSIGN_OR_RETURN(std::vector<bool> full,
                   FromFrequency(*override_fields.index_topk_freq, offset, num_layers));
  return Schedule{std::move(full), "the index_topk_freq override"};
}

// The schedules that the file's fields give, best first.
absl::StatusOr<Schedule> FromFile(const IndexCacheFields& fields, size_t num_layers) {
  if (fields.indexer_types) {
    if (fields.indexer_types->size() != num_layers) {
      return absl::InvalidArgumentError(absl::StrCat(
          "indexer_types: ", fields.indexer_types->size(), " entries for ", num_layers, " layers"));
    }
    return Schedule{*fields.indexer_types, "indexer_types"};
  }
  if (fields.index_topk_pattern) {
    ASSIGN_OR_RETURN(std::vector<bool> full, FromPattern(*fields.index_topk_pattern, num_layers));
    return Schedule{std::move(full), "index_topk_pattern"};
  }
  ASSIGN_OR_RETURN(
      std::vector<bool> full,
      FromFrequency(fields.index_topk_freq.value_or(1), fields.index_skip_topk_offset, num_layers));
  return Schedule{std::move(full), "index_topk_freq"};
}

// One line for every lower-ranking field that would have given another schedule.
void WarnOfLosers(const IndexCacheFields& fields, const Schedule& chosen,
                  std::vector<std::string>* warnings) {
  if (warnings == nullptr) return;
  const size_t num_layers = chosen.full.size();
  const auto compare = [&](const char* name, const absl::StatusOr<std::vector<bool>>& loser) {
    if (loser.ok() && *loser == chosen.full) return;
    warnings->push_back(absl::StrCat(name, " is ignored: ", chosen.source, " says otherwise"));
  };
  if (fields.indexer_types && chosen.source != "indexer_types") {
    compare("indexer_types", *fields.indexer_types);
  }
  if (fields.index_topk_pattern && chosen.source != "index_topk_pattern") {
    compare("index_topk_pattern", FromPattern(*fields.index_topk_pattern, num_layers));
  }
  if (fields.index_topk_freq && chosen.source != "index_topk_freq") {
    compare("index_topk_freq",
            FromFrequency(*fields.index_topk_freq, fields.index_skip_topk_offset, num_layers));
  }
}

absl::Status CheckAgainstWeights(const Schedule& schedule, const std::vector<bool>& has_indexer) {
  if (has_indexer.size() != schedule.full.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has_indexer has ", has_indexer.size(), " entries for ", schedule.full.size(), " layers"));
  }
  std::string missing;
  for (size_t layer = 0; layer < has_indexer.size(); ++layer) {
    if (schedule.full[layer] && !has_indexer[layer]) {
      absl::StrAppend(&missing, missing.empty() ? "" : ", ", layer);
    }
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(schedule.source,
                   " makes layers Full for which the checkpoint has no indexer weights "
                   "(self_attn.indexer.wq_b.weight): ",
                   missing));
}

}  // namespace

int IndexCachePolicy::num_full() const {
  return static_cast<int>(std::count(full.begin(), full.end(), true));
}

int IndexCachePolicy::source_layer(int layer) const {
  LECTERN_CHECK(layer >= 0 && layer < num_layers());
  while (!full[static_cast<size_t>(layer)]) --layer;  // ends: layer 0 is Full
  return layer;
}

int IndexCachePolicy::full_index(int layer) const {
  LECTERN_CHECK(layer >= 0 && layer < num_layers());
  if (!full[static_cast<size_t>(layer)]) return -1;
  return static_cast<int>(std::count(full.begin(), full.begin() + layer, true));
}

std::string IndexCachePolicy::pattern() const {
  std::string letters;
  for (const bool is_full : full) letters.push_back(is_full ? 'F' : 'S');
  return letters;
}

absl::StatusOr<IndexCachePolicy> MakeIndexCachePolicy(int num_hidden_layers,
                                                      const IndexCacheFields& fields,
                                                      const IndexCacheOverride& override_fields,
                                                      const std::vector<bool>& has_indexer,
                                                      std::vector<std::string>* warnings) {
  if (num_hidden_layers < 1) return absl::InvalidArgumentError("num_hidden_layers: less than 1");
  const auto num_layers = static_cast<size_t>(num_hidden_layers);
  const bool overridden = override_fields.index_topk_pattern || override_fields.index_topk_freq ||
                          override_fields.index_skip_topk_offset;
  Schedule schedule;
  if (overridden) {
    ASSIGN_OR_RETURN(schedule, FromOverride(fields, override_fields, num_layers));
  } else if (fields.use_index_cache == false) {
    // Only an explicit false switches sharing off; most checkpoints do not carry the field.
    schedule = {std::vector<bool>(num_layers, true), "use_index_cache false"};
  } else {
    ASSIGN_OR_RETURN(schedule, FromFile(fields, num_layers));
  }
  if (!schedule.full[0]) {
    return absl::InvalidArgumentError(absl::StrCat(
        schedule.source, " makes layer 0 Shared, which has no layer before it to share"));
  }
  RETURN_IF_ERROR(CheckAgainstWeights(schedule, has_indexer));
  WarnOfLosers(fields, schedule, warnings);
  return IndexCachePolicy{std::move(schedule.full)};
}

}  // namespace lectern::config
