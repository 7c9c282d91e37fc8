#include "engine/runtime/step_batch.h"

#include <algorithm>

#include "engine/base/check.h"

namespace lectern::runtime {

void StepBatch::Clear() {
  parts_.clear();
  token_ids_.clear();
  positions_.clear();
  cu_seqlens_q_.assign(1, 0);
  kv_len_.clear();
  block_tables_.clear();
  logit_rows_.clear();
  selection_rows_.clear();
}

void StepBatch::Add(Sequence& sequence, int num_tokens) {
  LECTERN_CHECK(num_tokens >= 1 && num_tokens <= sequence.remaining());
  Part part;
  part.sequence = &sequence;
  part.num_tokens = num_tokens;
  part.first_selection = static_cast<int32_t>(selection_rows_.size());
  const int64_t end = sequence.computed + num_tokens;
  for (int64_t position = sequence.computed; position < end; ++position) {
    // Rows whose query wrote, or writes now, a token of the answer.
    if (sequence.request.record_selections && position >= sequence.prompt_size() - 1) {
      selection_rows_.push_back(static_cast<int32_t>(token_ids_.size()));
      ++part.num_selections;
    }
    token_ids_.push_back(sequence.tokens[static_cast<std::size_t>(position)]);
    positions_.push_back(static_cast<int32_t>(position));
  }
  if (end == sequence.size()) {
    part.logit_row = static_cast<int32_t>(logit_rows_.size());
    logit_rows_.push_back(static_cast<int32_t>(token_ids_.size()) - 1);
  }
  cu_seqlens_q_.push_back(static_cast<int32_t>(token_ids_.size()));
  kv_len_.push_back(static_cast<int32_t>(end));
  parts_.push_back(part);
}

model::StepInput StepBatch::Input(cache::KvPagesView kv) {
  std::size_t max_blocks = 0;
  for (const Part& part : parts_) max_blocks = std::max(max_blocks, part.sequence->pages.size());
  block_tables_.assign(parts_.size() * max_blocks, cache::kNoPage);
  for (std::size_t s = 0; s < parts_.size(); ++s) {
    const auto& pages = parts_[s].sequence->pages;
    LECTERN_CHECK(static_cast<int64_t>(pages.size()) * cache::kPageSize >= kv_len_[s]);
    std::ranges::transform(pages, block_tables_.begin() + static_cast<long>(s * max_blocks),
                           [](const cache::PageHandle& page) { return page.id(); });
  }
  return {.token_ids = token_ids_,
          .positions = positions_,
          .cu_seqlens_q = cu_seqlens_q_,
          .kv_len = kv_len_,
          .block_tables = block_tables_,
          .max_blocks = static_cast<int32_t>(max_blocks),
          .logit_rows = logit_rows_,
          .selection_rows = selection_rows_,
          .kv = kv};
}

}  // namespace lectern::runtime
