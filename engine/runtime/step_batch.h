#pragma once
// The flat arrays of one step. Buffers grow to the largest step and are reused.

#include <cstdint>
#include <vector>

#include "engine/cache/kv_layout.h"
#include "engine/model/model.h"
#include "engine/runtime/sequence.h"

namespace lectern::runtime {

class StepBatch {
 public:
  // One sequence's part. Rows index StepOutput's.
  struct Part {
    Sequence* sequence = nullptr;
    int num_tokens = 0;
    int32_t logit_row = -1;       // -1: its known tokens do not end in this step
    int32_t first_selection = 0;  // its selection rows are consecutive
    int32_t num_selections = 0;
  };

  void Clear();
  // The next `num_tokens` uncomputed tokens of a sequence, whose pages are there. The sequence must
  // stay until the next Clear.
  void Add(Sequence& sequence, int num_tokens);
  // Valid until the next Clear or Add.
  model::StepInput Input(cache::KvPagesView kv);

  const std::vector<Part>& parts() const { return parts_; }

 private:
  std::vector<Part> parts_;
  std::vector<int32_t> token_ids_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> cu_seqlens_q_ = {0};
  std::vector<int32_t> kv_len_;
  std::vector<int32_t> block_tables_;
  std::vector<int32_t> logit_rows_;
  std::vector<int32_t> selection_rows_;
};

}  // namespace lectern::runtime
