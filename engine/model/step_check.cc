#include "engine/model/step_check.h"

#include <string>

#include "engine/base/status.h"

namespace lectern::model {
namespace {

absl::Status Invalid(const std::string& what) {
  return absl::InvalidArgumentError("step: " + what);
}

absl::Status CheckRows(std::span<const int32_t> rows, int64_t num_tokens, const char* name) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0 || rows[i] >= num_tokens || (i > 0 && rows[i] <= rows[i - 1])) {
      return Invalid(std::string(name) + " must ascend within the step's tokens");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSequence(const StepInput& input, size_t sequence) {
  const int32_t begin = input.cu_seqlens_q[sequence];
  const int32_t end = input.cu_seqlens_q[sequence + 1];
  const int32_t length = input.kv_len[sequence];
  if (end <= begin) return Invalid("cu_seqlens_q must ascend");
  if (static_cast<size_t>(end) > input.token_ids.size()) {
    return Invalid("cu_seqlens_q goes past the tokens");
  }
  if (length < end - begin) return Invalid("kv_len is shorter than the sequence's new tokens");
  const int32_t pages = (length + cache::kPageSize - 1) / cache::kPageSize;
  if (pages > input.max_blocks) return Invalid("kv_len needs more pages than max_blocks");
  for (int32_t t = begin; t < end; ++t) {
    if (input.positions[static_cast<size_t>(t)] != length - (end - t)) {
      return Invalid("positions disagree with kv_len");
    }
  }
  const size_t table = sequence * static_cast<size_t>(input.max_blocks);
  for (int32_t page = 0; page < pages; ++page) {
    if (input.block_tables[table + static_cast<size_t>(page)] < 0) {
      return Invalid("a page id is negative");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckStep(const StepInput& input, const config::ModelConfig& config,
                       const cache::KvLayout& layout, int max_batch_tokens) {
  const size_t tokens = input.token_ids.size();
  const size_t sequences = input.kv_len.size();
  if (tokens == 0) return Invalid("no tokens");
  if (tokens > static_cast<size_t>(max_batch_tokens)) {
    return Invalid(std::to_string(tokens) + " tokens, max_batch_tokens is " +
                   std::to_string(max_batch_tokens));
  }
  if (input.positions.size() != tokens) return Invalid("as many positions as tokens are needed");
  if (input.cu_seqlens_q.size() != sequences + 1 || input.cu_seqlens_q[0] != 0 ||
      static_cast<size_t>(input.cu_seqlens_q[sequences]) != tokens) {
    return Invalid("cu_seqlens_q does not cover the tokens");
  }
  if (input.max_blocks <= 0 ||
      input.block_tables.size() < sequences * static_cast<size_t>(input.max_blocks)) {
    return Invalid("block_tables is smaller than [num_seqs, max_blocks]");
  }
  for (size_t s = 0; s < sequences; ++s) RETURN_IF_ERROR(CheckSequence(input, s));
  for (const int32_t id : input.token_ids) {
    if (id < 0 || id >= config.vocab_size) {
      return Invalid("token " + std::to_string(id) + " is outside the vocabulary");
    }
  }
  RETURN_IF_ERROR(CheckRows(input.logit_rows, static_cast<int64_t>(tokens), "logit_rows"));
  RETURN_IF_ERROR(CheckRows(input.selection_rows, static_cast<int64_t>(tokens), "selection_rows"));
  if (input.kv.base == nullptr || input.kv.layout.page_bytes() != layout.page_bytes() ||
      input.kv.layout.dtype != layout.dtype) {
    return Invalid("pages are not of this model's layout");
  }
  return absl::OkStatus();
}

}  // namespace lectern::model
